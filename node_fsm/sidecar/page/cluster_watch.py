"""Reads the cluster's status from the database in the background: seldom, and a little more often while people look."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from loguru import logger

from node_fsm.core.cluster_status import ClusterStatus
from node_fsm.core.errors import ServiceError, as_service_error
from node_fsm.sidecar.page.render import Reading

READ_SECONDS = 20.0
"""The longest that a reading may take."""

WATCHED_SECONDS, UNWATCHED_SECONDS = 10.0, 60.0
"""From the end of one reading to the next, while somebody looks at the page and while nobody does."""


class ClusterWatch:
    """Knows the last :attr:`reading`. However many people look, the database is asked once."""

    def __init__(self, read: Callable[[], Awaitable[ClusterStatus]]) -> None:
        self._read = read
        self._looked_at = asyncio.Event()
        self.reading = Reading(problem="it is being read for the first time")

    def looked_at(self) -> None:
        """Somebody looks at the page."""
        self._looked_at.set()

    async def run(self) -> None:
        """Read until cancelled; what fails is told on the page and in no other way, for the engine tells it too."""
        while True:
            self.reading = await self._read_once()
            await _pause(WATCHED_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(UNWATCHED_SECONDS - WATCHED_SECONDS):
                    await self._looked_at.wait()
            self._looked_at.clear()

    async def _read_once(self) -> Reading:
        """A new reading; where there is none the last one, with what is wrong."""
        try:
            async with asyncio.timeout(READ_SECONDS):
                return Reading(await self._read())
        except TimeoutError:
            problem = f"it did not answer within {READ_SECONDS:.0f} s"
        except Exception as error:  # noqa: BLE001 - no service ends because its page is not up to date
            if not isinstance(error, ServiceError):
                logger.opt(exception=error).error("reading the cluster's status failed")
            problem = str(as_service_error(error, "reading the cluster's status"))
        return Reading(self.reading.cluster, problem)


async def _pause(seconds: float) -> None:
    await asyncio.sleep(seconds)
