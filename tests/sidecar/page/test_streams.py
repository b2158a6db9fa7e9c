"""Server-sent events over real connections: few, fresh, and at nobody's expense."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from httpx import AsyncClient, Response

from node_fsm.core.conditions import Condition, ConditionType
from node_fsm.core.phases import Phase, Role
from node_fsm.metrics import Metrics
from node_fsm.ports import MachineClock
from node_fsm.ports.node import NodeStatus, ProcessPhase
from node_fsm.sidecar import server
from node_fsm.sidecar.app import create_app
from node_fsm.sidecar.page import live
from node_fsm.sidecar.page.render import SECTIONS
from node_fsm.sidecar.page.status_page import StatusPage
from node_fsm.sidecar.server import SidecarServer
from tests.sidecar.page import scenes
from tests.sidecar.states import Source
from tests.support.polling import HANGING

EVENTS = "/page/events"


class Served:
    """A page that is served, and its clients."""

    def __init__(self) -> None:
        self.source = Source(scenes.status(Phase.RUNNING))
        self.page = StatusPage(self.source, self._read, MachineClock())
        self.registry = Metrics(Role.LEADER0).registry
        app = create_app(
            *(self.source, self.registry),
            tick_limit=1e9,
            expose_state=False,
            monotonic=lambda: 0.0,
            page=self.page.router,
        )
        self.server = SidecarServer(app, "127.0.0.1", 0)
        self.http = AsyncClient(base_url=f"http://127.0.0.1:{self.server.port}", timeout=HANGING, trust_env=False)

    async def _read(self) -> Any:
        return scenes.cluster(self.source.state.phase)

    @property
    def streams(self) -> int:
        return self.page.streams

    async def until_streams(self, count: int) -> None:
        """Wait until there are so many."""
        async with asyncio.timeout(HANGING):
            while self.streams != count:
                await asyncio.sleep(0.01)

    def open(self) -> Any:
        """A stream's answer, as a context manager."""
        return self.http.stream("GET", EVENTS)


@pytest.fixture
def answer_seconds() -> float:
    """A machine that is busy with other things is not taken for a client that does not ask."""
    return HANGING


@pytest.fixture
async def served(monkeypatch: pytest.MonkeyPatch, answer_seconds: float) -> AsyncIterator[Served]:
    monkeypatch.setattr(server, "ANSWER_SECONDS", answer_seconds)
    monkeypatch.setattr(live, "UPDATE_SECONDS", 0.05)
    monkeypatch.setattr(live, "RENDER_SECONDS", 0.0)
    monkeypatch.setattr(live, "SAMPLE_SECONDS", 0.0)
    async with serving() as page:
        yield page


@asynccontextmanager
async def serving() -> AsyncIterator[Served]:
    page = Served()
    tasks = [asyncio.create_task(each) for each in (page.server.serve(), page.page.run())]
    try:
        yield page
    finally:
        tasks[1].cancel()
        async with asyncio.timeout(HANGING):
            await page.server.stop(1)
            await asyncio.wait(tasks)
        await page.http.aclose()


async def told(response: Response) -> AsyncIterator[dict[str, Any]]:
    """The events of a stream, without what keeps it alive."""
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


async def to_the_end(events: AsyncIterator[dict[str, Any]]) -> None:
    async for _ in events:
        pass


async def test_a_stream_tells_all_at_first_and_then_what_changes(served: Served) -> None:
    async with asyncio.timeout(HANGING), served.open() as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        events = told(response)
        first = await anext(events)
        assert set(first["sections"]) == set(SECTIONS)
        assert first["title"] == "Running · leader0"
        served.source.state = scenes.status(Phase.TALLYING)
        async for event in events:
            if "now" in event["sections"]:
                break
        assert '<p class="phase">Tallying</p>' in event["sections"]["now"]
        assert "archives" not in event["sections"]
        assert "Phase Tallying" in event["announcement"]


@pytest.mark.parametrize("answer_seconds", [2])
async def test_a_stream_outlives_what_a_connection_without_an_answer_may_take(served: Served) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(HANGING), served.open() as response:
        begin = loop.time()
        async for _ in told(response):
            if loop.time() > begin + 2 * server.ANSWER_SECONDS + 1:
                break
            served.source.change(votes=round(1000 * loop.time()))
        assert served.streams == 1


async def test_where_nothing_changes_that_is_told(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(live, "SAMPLE_SECONDS", 3600.0)  # each sample changes the plot
    async with asyncio.timeout(HANGING), served.open() as response:
        async for event in told(response):
            if event["sections"] == {}:
                break
        assert event["title"] == "Running · leader0"


async def test_the_plot_is_of_the_chain_in_work(served: Served) -> None:
    async with asyncio.timeout(HANGING):
        while 'class="plot"' not in (await served.http.get("/")).text:
            await asyncio.sleep(0.01)
    stopped = NodeStatus(phase=ProcessPhase.STOPPED, since=scenes.NOW)
    served.source.change(block0_hash="b2" * 32, node=stopped)
    assert 'class="plot"' not in (await served.http.get("/")).text


async def test_there_are_only_so_many_and_a_place_is_given_back(served: Served) -> None:
    async with asyncio.timeout(HANGING), AsyncExitStack() as opened:
        for count in range(live.STREAMS):
            await opened.enter_async_context(served.open())
            assert served.streams == count + 1
        refused = await served.http.get(EVENTS)
        assert refused.status_code == 503
        assert (await served.http.get("/")).status_code == 200
        assert (await served.http.get("/heartbeat")).status_code == 200
    await served.until_streams(0)
    async with asyncio.timeout(HANGING), served.open() as response:
        assert response.status_code == 200


@pytest.mark.parametrize("answer_seconds", [2])
async def test_who_stops_reading_is_cut_off_and_costs_no_memory(served: Served) -> None:
    """What is sent to them waits in one buffer, and no longer than a request may take."""
    with socket.create_connection(("127.0.0.1", served.server.port)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(f"GET {EVENTS} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await served.until_streams(1)
        async with asyncio.timeout(HANGING):
            number = 0
            while served.streams:
                number += 1
                message = f"{number} " + 300 * "x"
                held = tuple(Condition(type_, "NoNewBlock", message, scenes.NOW) for type_ in ConditionType)
                served.source.change(conditions=held)
                await asyncio.sleep(0.01)
        assert (await served.http.get("/heartbeat")).status_code == 200


async def test_a_stream_ends_by_itself(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "STREAM_SECONDS", 0.3)
    async with asyncio.timeout(HANGING), served.open() as response:
        assert [event async for event in told(response)] != []
    assert served.streams == 0


async def test_stopping_waits_for_no_stream(served: Served) -> None:
    async with asyncio.timeout(HANGING), served.open() as response:
        events = told(response)
        await anext(events)
        stopping = asyncio.create_task(served.server.stop(HANGING))
        with pytest.raises(Exception, match=r"(?i)incomplete|closed|reset|disconnected"):
            await to_the_end(events)
        await stopping


async def test_streams_are_not_counted_as_requests_that_take_minutes(served: Served) -> None:
    async with asyncio.timeout(HANGING), served.open():
        assert served.streams == 1
    await served.until_streams(0)
    assert EVENTS not in (await served.http.get("/metrics")).text
