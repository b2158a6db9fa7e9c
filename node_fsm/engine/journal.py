"""The journal's outgoing side: each entry is written at once, in order, and what has to wait outlives a restart.

While the database is away entries wait in bounded memory and in a file; the oldest go first when there are too many,
since the log has them too. An entry that is written twice stands there once.
"""

import asyncio
import json
from collections import deque
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from loguru import logger

from node_fsm.aio.threads import DISK, in_thread
from node_fsm.core.backoff import Backoff
from node_fsm.core.errors import NOT_AS_EXPECTED
from node_fsm.core.model import JournalEntry
from node_fsm.engine.faults import Unwritten
from node_fsm.ports import Database
from node_fsm.storage.files import write_private

KEPT_ENTRIES = 1000
RETRY = Backoff(first=1.0, longest=5.0)


class Journal:
    """Entries on their way to the database; *file* has those that wait."""

    def __init__(self, database: Database, file: Path, unwritten: Unwritten) -> None:
        self._database = database
        self._file = file
        self._in_file: list[JournalEntry] = []
        self._entries: deque[JournalEntry] = deque(maxlen=KEPT_ENTRIES)
        self._wake = asyncio.Event()
        self._outage = unwritten.outage("the journal")

    def add(self, entry: JournalEntry) -> None:
        """Queue *entry*; it is written at once."""
        self._entries.append(entry)
        self._wake.set()

    async def run(self) -> None:
        """Write what an earlier life left behind, then whatever comes, until cancelled."""
        with suppress(Exception):  # no threads, perhaps: what comes is written all the same
            self._in_file = await in_thread(DISK, _read, self._file)
        self._entries.extendleft(reversed(self._in_file))
        failures = 0
        while True:
            self._wake.clear()  # first: what comes while something is written is written next
            if await self.flush():
                failures = 0
                await self._wake.wait()
            else:
                failures += 1
                await asyncio.sleep(RETRY.delay(failures))

    async def flush(self) -> bool:
        """Write what is queued now, and say whether the database took it; if not it waits, in the file too."""
        entries = list(self._entries)
        try:
            if entries:
                await self._database.journal(entries)
        except Exception as error:  # noqa: BLE001 - no election ends because it cannot be told of
            self._outage.failed(error)
            await self._keep(entries)
            return False
        self._outage.ended()
        while self._entries and self._entries[0] in entries:
            self._entries.popleft()
        await self._keep([])
        return True

    async def _keep(self, entries: list[JournalEntry]) -> None:
        """Have the file say what waits; what the disk, or a lack of threads, refuses is only in memory."""
        if entries != self._in_file:
            with suppress(Exception):
                await in_thread(DISK, _write, self._file, entries)
                self._in_file = entries


def _write(file: Path, entries: list[JournalEntry]) -> None:
    if entries:
        write_private(file, json.dumps([asdict(entry) | {"at": entry.at.isoformat()} for entry in entries]).encode())
    else:
        file.unlink(missing_ok=True)


def _read(file: Path) -> list[JournalEntry]:
    """The entries in *file*; none when there is no such file, or nothing that can be read."""
    try:
        values = json.loads(file.read_bytes())
        return [JournalEntry(**value | {"at": datetime.fromisoformat(value["at"])}) for value in values]
    except FileNotFoundError:
        return []
    except (OSError, *NOT_AS_EXPECTED) as error:
        logger.warning("what the journal lacks is not known, {} cannot be read: {}", file, error)
        return []
