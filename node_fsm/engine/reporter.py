"""Writes the journal, this node's status and its address to the database, without ever holding up the engine.

While the database is away entries wait in bounded memory; the oldest go first when it is full, since the log has
them too.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from node_fsm.core.model import JournalEntry, NodeReport
from node_fsm.engine.faults import Outage
from node_fsm.ports import Database

KEPT_ENTRIES = 1000
REPORT_SECONDS = 5.0
QUIET_SECONDS = 60.0


class Reporter:
    """The outgoing side of the engine: journal entries in order, and the latest status."""

    def __init__(self, database: Database, status: Callable[[], NodeReport], advertise: str) -> None:
        self._database = database
        self.advertise = advertise
        self._status = status
        self._entries: deque[JournalEntry] = deque(maxlen=KEPT_ENTRIES)
        self._wake = asyncio.Event()
        self._outage = Outage("the journal and the status wait")

    def journal(self, entry: JournalEntry) -> None:
        """Queue *entry*; it is written soon."""
        self._entries.append(entry)
        self._wake.set()

    def status_changed(self) -> None:
        """Have the status written soon: at most every few seconds, however often this is said."""
        self._wake.set()

    async def run(self) -> None:
        """Write what is queued, at most every few seconds; the status also when nothing changes."""
        while True:
            self._wake.clear()  # first: what comes while something is written is written next
            await self.flush()
            await asyncio.sleep(REPORT_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(QUIET_SECONDS):
                    await self._wake.wait()

    async def flush(self) -> None:
        """Write what is queued now, as far as the database answers; what it does not take waits for the next time."""
        try:
            await self._write()
        except Exception as error:  # noqa: BLE001 - no election ends because it cannot be told of
            self._outage.failed(error)
            self._wake.set()
        else:
            self._outage.ended()

    async def _write(self) -> None:
        entries = list(self._entries)
        status = self._status()
        await self._database.report_status(status)  # first: other nodes depend on it
        await self._database.announce(status.hostname, self.advertise)
        if entries:
            await self._database.journal(entries)
        while self._entries and self._entries[0] in entries:
            self._entries.popleft()
