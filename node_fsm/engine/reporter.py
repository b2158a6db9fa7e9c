"""Writes the journal, this node's status and its address to the database, without ever holding up the engine."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from node_fsm.core.cluster import NodeReport
from node_fsm.core.model import JournalEntry
from node_fsm.engine.faults import Unwritten
from node_fsm.engine.journal import Journal
from node_fsm.ports import Database

REPORT_SECONDS = 5.0
QUIET_SECONDS = 60.0


class Reporter:
    """The outgoing side of the engine: the journal at once, and the latest status in its own time."""

    def __init__(
        self,
        database: Database,
        status: Callable[[], NodeReport],
        advertise: str,
        journal: Journal,
        unwritten: Unwritten,
    ) -> None:
        self._database = database
        self.advertise = advertise
        self._status = status
        self._journal = journal
        self._wake = asyncio.Event()
        self._urgent = asyncio.Event()
        self._outage = unwritten.outage("its status")

    def journal(self, entry: JournalEntry) -> None:
        """Have *entry* written at once, and the status, which says the phase, soon."""
        self._journal.add(entry)
        self._wake.set()

    def status_changed(self) -> None:
        """Have the status written soon: at most every few seconds, however often this is said."""
        self._wake.set()

    def report_at_once(self) -> None:
        """Have the status written now: somebody waits for it."""
        self._urgent.set()
        self._wake.set()

    async def run(self) -> None:
        """Write until cancelled: the status at most every few seconds, and also when nothing changes."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._journal.run(), name="the journal")
            both.create_task(self._report(), name="the status")

    async def flush(self) -> None:
        """Write everything now, as far as the database answers; what it does not take waits for the next time."""
        await self._report_once()
        await self._journal.flush()

    async def _report(self) -> None:
        while True:
            self._wake.clear()  # first: what comes while something is written is written next
            self._urgent.clear()
            await self._report_once()
            with suppress(TimeoutError):
                async with asyncio.timeout(REPORT_SECONDS):
                    await self._urgent.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(QUIET_SECONDS):
                    await self._wake.wait()

    async def _report_once(self) -> None:
        try:
            status = self._status()
            await self._database.report_status(status)
            await self._database.announce(status.hostname, self.advertise)
        except Exception as error:  # noqa: BLE001 - no election ends because it cannot be told of
            self._outage.failed(error)
            self._wake.set()
        else:
            self._outage.ended()
