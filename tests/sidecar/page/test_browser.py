"""The page as a browser shows it: in every phase, narrow and wide, light and dark, without scripts, by keyboard."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from node_fsm.core.cluster_status import ClusterStatus
from node_fsm.core.phases import Phase, Role
from node_fsm.metrics import Metrics
from node_fsm.sidecar.app import create_app
from node_fsm.sidecar.page import cluster_watch, live
from node_fsm.sidecar.page.render import SECTIONS
from node_fsm.sidecar.page.status_page import StatusPage
from node_fsm.sidecar.server import SidecarServer
from tests.sidecar.page import scenes
from tests.sidecar.page.test_sections import ATTACK, hostile
from tests.sidecar.states import Source
from tests.support.chromium import chromium
from tests.support.polling import HANGING

__all__ = ["chromium"]  # a fixture

pytestmark = pytest.mark.asyncio(loop_scope="session")

NARROW, WIDE = 360, 1280
WAIT = HANGING * 1000


@dataclass
class Clock:
    """The scenes' time, which goes on."""

    begin: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    def now(self) -> Any:
        return scenes.NOW

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time() - self.begin


class Stand:
    """A served page that changes at a test's will."""

    def __init__(self) -> None:
        self.source = Source(scenes.status(Phase.WAITING))
        self.cluster: ClusterStatus | None = None
        self.page = StatusPage(self.source, self._read, Clock())
        registry = Metrics(Role.LEADER0).registry
        app = create_app(
            self.source, registry, tick_limit=1e9, expose_state=False, monotonic=lambda: 0.0, page=self.page.router
        )
        self.server = SidecarServer(app, "127.0.0.1", 0)
        self.url = f"http://localhost:{self.server.port}/"

    async def _read(self) -> ClusterStatus:
        return self.cluster or scenes.cluster(self.source.state.phase)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stand() -> AsyncIterator[Stand]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "UPDATE_SECONDS", 0.1)
        patch.setattr(live, "RENDER_SECONDS", 0.05)
        patch.setattr(cluster_watch, "WATCHED_SECONDS", 0.1)
        shown = Stand()
        serving, running = (asyncio.create_task(each) for each in (shown.server.serve(), shown.page.run()))
        yield shown
        running.cancel()
        async with asyncio.timeout(HANGING):
            await shown.server.stop(1)
            await asyncio.wait({serving, running})


@asynccontextmanager
async def opened(
    chromium: Browser,
    stand: Stand,
    *,
    scripts: bool = True,
    scheme: Literal["light", "dark"] = "light",
    width: int = WIDE,
    own_clock: bool = False,
) -> AsyncIterator[Page]:
    """The page in a window of its own; whatever the browser complains of fails the test."""
    context = await chromium.new_context(
        java_script_enabled=scripts, color_scheme=scheme, viewport={"width": width, "height": 800}
    )
    context.set_default_timeout(WAIT)
    complaints: list[str] = []
    page = await context.new_page()
    if own_clock:
        await page.clock.install()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(f"{request.url}: {request.failure}"))
    await page.goto(stand.url)
    yield page
    assert [complaint for complaint in complaints if "/page/events" not in complaint] == []
    await context.close()


async def is_in_view(page: Page) -> bool:
    """Whether nothing is wider than the window."""
    return bool(await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


async def test_every_phase_fits_narrow_and_wide_windows(chromium: Browser, stand: Stand) -> None:
    async with opened(chromium, stand) as page:
        for role, phase in scenes.ALL:
            stand.source.state = scenes.status(phase, role)
            await expect(page.locator(".phase")).to_have_text(phase, timeout=WAIT)
            for width, shown, hidden in ((WIDE, "wide", "narrow"), (NARROW, "narrow", "wide")):
                await page.set_viewport_size({"width": width, "height": 800})
                await expect(page.locator(f".diagram.{shown}")).to_be_visible(timeout=WAIT)
                await expect(page.locator(f".diagram.{hidden}")).to_be_hidden(timeout=WAIT)
                assert await is_in_view(page), (role, phase, width)
                for name in SECTIONS:
                    await expect(page.locator(f"#{name} h2")).to_be_visible(timeout=WAIT)
            assert await page.title() == f"{phase} · {stand.source.state.hostname} · node-fsm"


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_can_be_read_by_all(chromium: Browser, stand: Stand, scheme: Literal["light", "dark"]) -> None:
    """By the rules of axe-core: contrast, names, landmarks, headings, tables."""
    async with opened(chromium, stand, scheme=scheme) as page:
        for phase in (Phase.RUNNING, Phase.TALLYING, Phase.RESET):
            stand.source.state = scenes.status(phase)
            await expect(page.locator(".phase")).to_have_text(phase, timeout=WAIT)
            found = await Axe().run(page)
            assert found.violations_count == 0, found.generate_report()


async def test_results_and_a_plot_come_while_one_looks(chromium: Browser, stand: Stand) -> None:
    stand.source.state = scenes.status(Phase.RUNNING)
    async with opened(chromium, stand) as page:
        await expect(page.locator("#link")).to_contain_text("Live", timeout=WAIT)
        await expect(page.locator("#results")).to_contain_text("None are posted", timeout=WAIT)
        stand.source.state = scenes.status(Phase.ARCHIVING)
        await expect(page.locator("#results article")).to_have_count(5, timeout=WAIT)
        await expect(page.locator("#announcement")).to_have_text("Phase Archiving. Conditions: none.", timeout=WAIT)


async def test_without_scripts_all_is_there_and_loads_itself_anew(chromium: Browser, stand: Stand) -> None:
    stand.source.state = scenes.status(Phase.TALLYING)
    async with opened(chromium, stand, scripts=False, width=NARROW) as page:
        await expect(page.locator(".phase")).to_have_text("Tallying", timeout=WAIT)
        await expect(page.locator(".deadlines li").first).to_contain_text("in 3 h 12 min", timeout=WAIT)
        await expect(page.locator("#nodes tbody tr")).to_have_count(5, timeout=WAIT)
        await expect(page.locator("meta[http-equiv=refresh]")).to_have_count(1, timeout=WAIT)


async def test_what_others_wrote_runs_nothing(chromium: Browser, stand: Stand) -> None:
    stand.source.state = hostile(scenes.status(Phase.RUNNING), ATTACK)
    stand.cluster = hostile(scenes.cluster(Phase.ARCHIVING), ATTACK)
    try:
        async with opened(chromium, stand) as page:
            await expect(page.locator("#nodes")).to_contain_text("alert(1)", timeout=WAIT)
            await expect(page.locator("#link")).to_contain_text("Live", timeout=WAIT)
            stand.source.state = replace(stand.source.state, last_error=f"once more {ATTACK}")
            await expect(page.locator("#now")).to_contain_text("once more", timeout=WAIT)
            assert await page.locator("main script, main img, main [onload]").count() == 0
            assert await is_in_view(page)
    finally:
        stand.cluster = None


async def test_the_keyboard_reaches_the_content_and_stays_where_it_is(chromium: Browser, stand: Stand) -> None:
    stand.source.state = scenes.status(Phase.RUNNING)
    focused = "document.activeElement.textContent.trim()"
    async with opened(chromium, stand) as page:
        await expect(page.locator("#link")).to_contain_text("Live", timeout=WAIT)
        await page.keyboard.press("Tab")
        assert await page.evaluate(focused) == "Skip to content"
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        assert await page.evaluate(focused) == "Runbook: HotReloadOff"
        [first, second] = stand.source.state.conditions
        stand.source.change(conditions=(replace(first, message="it changed meanwhile"), second))
        await expect(page.locator("#conditions")).to_contain_text("it changed meanwhile", timeout=WAIT)
        assert await page.evaluate(focused) == "Runbook: HotReloadOff"
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(f"{stand.url}runbook#hotreloadoff", timeout=WAIT)
        await expect(page.locator("#hotreloadoff")).to_be_visible(timeout=WAIT)
        assert (await Axe().run(page)).violations_count == 0


async def test_who_hears_nothing_is_told(chromium: Browser, stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    stand.source.state = scenes.status(Phase.RUNNING)
    async with opened(chromium, stand, own_clock=True) as page:
        await expect(page.locator("#link")).to_have_class("live", timeout=WAIT)
        monkeypatch.setattr(live, "BEAT_SECONDS", WAIT)
        await page.context.set_offline(True)
        await page.clock.fast_forward("01:00")
        await expect(page.locator("#link")).to_have_class("lost", timeout=WAIT)
        await expect(page.locator("#link")).to_contain_text("Not live", timeout=WAIT)
