"""What the page shows at present, and the streams that tell browsers of what changes in it.

A rendering is made at most once a second however many ask, and shared by all. A stream keeps references to what it
sent last and no queue: a reader that is slow misses renderings, and the connection of one that stops reading is ended
by the server.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from fastapi.sse import ServerSentEvent
from loguru import logger

from node_fsm.engine.status import StateSource
from node_fsm.sidecar.page.cluster_watch import ClusterWatch
from node_fsm.sidecar.page.render import Known, Renderer
from node_fsm.sidecar.page.series import SAMPLE_SECONDS, Series

RENDER_SECONDS = 1.0
"""The least time between two renderings."""

UPDATE_SECONDS = 2.0
"""From one look for changes to the next, while there are streams."""

STREAMS = 16
"""So many browsers are told of changes; the page of others is as they loaded it, and reloads itself."""

STREAM_SECONDS = 600.0
"""A stream's longest life. Browsers come back by themselves."""

BEAT_SECONDS = 10.0
"""The longest silence of a stream: a browser that hears nothing for three times as long knows that it is cut off."""

RECONNECT_SECONDS = 3


@dataclass(frozen=True, slots=True)
class Rendering:
    """The page at one moment: the inner HTML of its sections, and what goes around them."""

    at: datetime
    title: str
    announcement: str
    sections: Mapping[str, str]


class Live:
    """The page's present. *now* is the wall clock, *monotonic* that by which renderings are spared."""

    def __init__(
        self,
        source: StateSource,
        cluster: ClusterWatch,
        renderer: Renderer,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._source = source
        self._cluster = cluster
        self._renderer = renderer
        self._now = now
        self._monotonic = monotonic
        self._series = Series()
        self._rendered: tuple[float, Known, Rendering] | None = None
        self._document: tuple[Rendering, str] | None = None
        self._update = asyncio.Event()
        self.streams = 0

    def document(self) -> str:
        """The whole page; made anew at most once in RENDER_SECONDS."""
        known, rendering = self._render()
        if self._document is None or self._document[0] is not rendering:
            self._document = rendering, self._renderer.document(known, rendering.sections)
        return self._document[1]

    async def events(self) -> AsyncIterator[ServerSentEvent]:
        """What one browser is told: all sections at first, then those that changed, for STREAM_SECONDS at most.

        Where nothing changes it is told just that, every BEAT_SECONDS.
        """
        yield ServerSentEvent(retry=RECONNECT_SECONDS * 1000)
        sent: Mapping[str, str] = {}
        end = self._monotonic() + STREAM_SECONDS
        while self._monotonic() < end:
            update, (_, rendering) = self._update, self._render()
            yield ServerSentEvent(
                data={
                    "now": rendering.at.isoformat(),
                    "title": rendering.title,
                    "announcement": rendering.announcement,
                    "sections": {name: html for name, html in rendering.sections.items() if sent.get(name) != html},
                }
            )
            sent = rendering.sections
            with suppress(TimeoutError):
                async with asyncio.timeout(min(BEAT_SECONDS, end - self._monotonic())):
                    await update.wait()

    async def run(self) -> None:
        """Sample the chain, and wake the streams when something has changed, until cancelled."""
        sample_at = self._monotonic()
        while True:
            try:
                if self._monotonic() >= sample_at:
                    sample_at += SAMPLE_SECONDS
                    self._sample()
                if self.streams:
                    self._wake()
            except Exception as error:  # noqa: BLE001 - no service ends because of how its page looks
                logger.opt(exception=error).error("the status page is not brought up to date")
                await asyncio.sleep(SAMPLE_SECONDS)
            await asyncio.sleep(UPDATE_SECONDS)

    def _sample(self) -> None:
        status = self._source.status()
        node = status.node
        if status.block0_hash and node and node.running and node.height is not None:
            self._series.add(status.block0_hash, self._now(), node.height, status.votes)

    def _wake(self) -> None:
        before = self._rendered[2] if self._rendered else None
        if before is None or self._render()[1].sections != before.sections:
            update, self._update = self._update, asyncio.Event()
            update.set()

    def _render(self) -> tuple[Known, Rendering]:
        self._cluster.looked_at()
        at = self._monotonic()
        if self._rendered is None or at - self._rendered[0] >= RENDER_SECONDS:
            status = self._source.status()
            known = Known(self._now(), status, self._cluster.reading, self._series.of(status.block0_hash))
            rendering = Rendering(
                at=known.now,
                title=self._renderer.title(known.status),
                announcement=self._renderer.announcement(known.status),
                sections=self._renderer.sections(known),
            )
            self._rendered = at, known, rendering
        return self._rendered[1:]
