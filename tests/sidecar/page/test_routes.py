"""The page's addresses: what they answer, with which headers, and to whom."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

import pytest
from httpx import ASGITransport, AsyncClient

from node_fsm.core.cluster_status import ClusterStatus
from node_fsm.core.errors import TemporaryError
from node_fsm.core.phases import Phase, Role
from node_fsm.metrics import Metrics
from node_fsm.sidecar.app import create_app
from node_fsm.sidecar.page import cluster_watch, live
from node_fsm.sidecar.page.render import Known, Renderer
from node_fsm.sidecar.page.runbook import as_html
from node_fsm.sidecar.page.status_page import StatusPage
from tests.sidecar.page import scenes
from tests.sidecar.states import Source
from tests.support.polling import HANGING

PATHS = ("/", "/runbook", "/page/page.css", "/page/page.js", "/page/icon.svg")


@dataclass
class Clock:
    """Stands still until it is told otherwise."""

    seconds: float = 0.0

    def now(self) -> datetime:
        return scenes.NOW

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Stand:
    """A page of a service in Running, and how often the database was asked for it."""

    source: Source = field(default_factory=lambda: Source(scenes.status(Phase.RUNNING)))
    clock: Clock = field(default_factory=Clock)
    readings: int = 0
    answer: ClusterStatus | Exception = field(default_factory=lambda: scenes.cluster(Phase.RUNNING))

    def __post_init__(self) -> None:
        self.page = StatusPage(self.source, self.read, self.clock)

    async def read(self) -> ClusterStatus:
        self.readings += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def client(self, peer: str = "127.0.0.1", *, expose_state: bool = False) -> AsyncClient:
        app = create_app(
            *(self.source, Metrics(Role.LEADER0).registry),
            tick_limit=60,
            expose_state=expose_state,
            monotonic=lambda: 0.0,
            page=self.page.router,
        )
        return AsyncClient(transport=ASGITransport(app, client=(peer, 50000)), base_url="http://localhost")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """With what the page does in the background."""
        task = asyncio.create_task(self.page.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})


@pytest.fixture
def stand() -> Stand:
    return Stand()


@pytest.mark.parametrize("path", PATHS)
async def test_every_address_answers_get_and_head_and_nothing_else(stand: Stand, path: str) -> None:
    async with stand.client() as http:
        got = await http.get(path)
        assert got.status_code == 200
        assert (await http.head(path)).status_code == 200
        for method in ("POST", "PUT", "DELETE"):
            assert (await http.request(method, path)).status_code == 405
    policy = dict(part.split(" ", 1) for part in got.headers["content-security-policy"].split("; "))
    assert policy.pop("default-src") == "'none'"
    assert set(policy.values()) == {"'self'", "'none'"}
    assert "unsafe" not in got.headers["content-security-policy"]
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/page/", "/page/nothing", "/page/../page.css", "/page/%2e%2e/live.py", "/page/live.py"]
)
async def test_nothing_else_is_served(stand: Stand, path: str) -> None:
    async with stand.client() as http:
        assert (await http.get(path)).status_code == 404


@pytest.mark.parametrize("path", [*PATHS, "/page/events"])
async def test_it_answers_whom_state_answers(stand: Stand, path: str) -> None:
    async with stand.client("10.0.0.7") as http:
        response = await http.get(path)
    assert response.status_code == 403
    assert "NODE_FSM_EXPOSE_STATE=true" in response.json()["detail"]
    assert "fund9" not in response.text
    async with stand.client() as http:
        assert (await http.get(path, headers={"Host": "evil.example"})).status_code == 403
        assert (await http.get(path, headers={"X-Forwarded-For": "203.0.113.5"})).status_code == 403
    if path != "/page/events":  # which does not end
        async with stand.client("10.0.0.7", expose_state=True) as http:
            assert (await http.get(path)).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
async def test_the_stream_is_not_for_other_sites(stand: Stand, site: str) -> None:
    async with stand.client() as http:
        response = await http.get("/page/events", headers={"Sec-Fetch-Site": site})
    assert response.status_code == 403


async def test_however_many_ask_the_page_is_made_once_a_second(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0
    sections = Renderer.sections

    def counted(self: Renderer, known: Known) -> dict[str, str]:
        nonlocal made
        made += 1
        return sections(self, known)

    monkeypatch.setattr(Renderer, "sections", counted)
    async with stand.client() as http:
        for _ in range(50):
            assert "Running" in (await http.get("/")).text
        assert made == 1
        stand.source.state = scenes.status(Phase.TALLYING)
        stand.clock.seconds += live.RENDER_SECONDS
        assert '<p class="phase">Tallying</p>' in (await http.get("/")).text
    assert (made, stand.readings) == (2, 0)


async def test_however_many_ask_the_runbook_is_made_once(stand: Stand) -> None:
    as_html.cache_clear()
    async with stand.client() as http:
        for _ in range(5):
            assert "KeyMalformed" in (await http.get("/runbook")).text
    assert as_html.cache_info().misses == 1


async def test_the_database_is_read_in_the_background_and_at_its_own_pace(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, again = asyncio.Event(), asyncio.Event()
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        read.set()
        await again.wait()
        again.clear()

    monkeypatch.setattr(cluster_watch, "_pause", pause)
    async with stand.client() as http, stand.running():
        async with asyncio.timeout(HANGING):
            await read.wait()
        for _ in range(20):
            stand.clock.seconds += live.RENDER_SECONDS
            assert "leader-2-old" in (await http.get("/")).text
        assert stand.readings == 1
        stand.answer = TemporaryError("DatabaseUnavailable", "no answer")
        read.clear()
        again.set()
        async with asyncio.timeout(HANGING):
            await read.wait()
        stand.clock.seconds += live.RENDER_SECONDS
        text = (await http.get("/")).text
        assert "DatabaseUnavailable: no answer" in text
        assert "leader-2-old" in text
    assert stand.readings == 2
    assert set(pauses) == {cluster_watch.WATCHED_SECONDS}


async def test_a_defect_ends_neither_the_page_nor_the_service(stand: Stand) -> None:
    stand.answer = KeyError("a defect")
    async with stand.client() as http, stand.running():
        async with asyncio.timeout(HANGING):
            while stand.readings == 0:
                await asyncio.sleep(0)
        assert "UnexpectedError" in (await http.get("/")).text


async def test_without_the_page_there_is_nothing_at_its_addresses(stand: Stand) -> None:
    registry = Metrics(Role.LEADER0).registry
    app = create_app(stand.source, registry, tick_limit=60, expose_state=True, monotonic=lambda: 0.0)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://localhost") as http:
        for path in (*PATHS, "/page/events"):
            assert (await http.get(path)).status_code == 404
