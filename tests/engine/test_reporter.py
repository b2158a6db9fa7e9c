"""The reporter: nothing is lost or doubled, memory is bounded, and the engine never waits."""

import asyncio
import io
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from node_fsm.core.cluster import NodeReport
from node_fsm.core.conditions import Condition, Conditions
from node_fsm.core.errors import PermanentError, ServiceError, TemporaryError
from node_fsm.core.model import JournalEntry, NodeRow
from node_fsm.engine.faults import Unwritten
from node_fsm.engine.journal import KEPT_ENTRIES, Journal
from node_fsm.engine.reporter import QUIET_SECONDS, REPORT_SECONDS, Reporter
from tests.support.fakes import START
from tests.support.memory_database import DATABASE_AWAY, MemoryDatabase
from tests.support.virtual_time import LoopClock

ADDRESS = "/dns4/leader0/tcp/9000"


class Reporting:
    """A reporter with its database; *height* is in the status."""

    def __init__(self, file: Path) -> None:
        self.database = MemoryDatabase(LoopClock(), nodes=[NodeRow("leader0", None, None)])
        self.height = 0
        self.conditions = Conditions(self.database.clock.now)
        unwritten = Unwritten(self.conditions)
        journal = Journal(self.database, file, unwritten)
        self.reporter = Reporter(self.database, self.status, ADDRESS, journal, unwritten)

    def status(self) -> NodeReport:
        return NodeReport(
            *("leader0", "Running", START, 1, "ab" * 32, self.height, None, None, 0, (), "0"),
            updated_at=self.database.clock.now(),
            holds_chain=False,
        )

    def journal(self, *numbers: int) -> None:
        for number in numbers:
            self.reporter.journal(entry(number))

    @property
    def written(self) -> list[int]:
        return [int(entry.reason) for entry in self.database.journalled]

    @property
    def reported(self) -> int | None:
        report = self.database.statuses.get("leader0")
        return report.height if report else None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.reporter.run())
        try:
            yield
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def until(self, holds: Callable[[], bool], seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while not holds():
                await asyncio.sleep(0.1)


def entry(number: int) -> JournalEntry:
    at = START + timedelta(seconds=number)
    return JournalEntry("leader0", 1, "first", "Waiting", "election_due", "FetchingKey", at, str(number))


@pytest.fixture
def reporting(tmp_path: Path) -> Reporting:
    return Reporting(tmp_path / "journal.json")


async def test_entries_status_and_address_are_written_soon(reporting: Reporting) -> None:
    async with reporting.running():
        await reporting.until(lambda: reporting.reported == 0, seconds=1)
        assert reporting.database.nodes == [NodeRow("leader0", None, ADDRESS)]
        reporting.journal(1, 2)
        reporting.height = 7
        await reporting.until(
            lambda: reporting.written == [1, 2] and reporting.reported == 7, seconds=REPORT_SECONDS + 1
        )
        reporting.height = 8
        reporting.reporter.status_changed()
        await reporting.until(lambda: reporting.reported == 8, seconds=REPORT_SECONDS + 1)


async def test_a_change_while_something_is_written_is_not_overlooked(
    reporting: Reporting, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = reporting.database.journal

    async def write_slowly(entries: list[JournalEntry]) -> None:
        await write(entries)
        if reporting.written == [1]:
            reporting.journal(2)

    monkeypatch.setattr(reporting.database, "journal", write_slowly)
    async with reporting.running():
        reporting.journal(1)
        await reporting.until(lambda: reporting.written == [1, 2], seconds=2 * REPORT_SECONDS + 1)


async def test_the_status_is_written_also_when_nothing_changes(reporting: Reporting) -> None:
    async with reporting.running():
        await asyncio.sleep(10 * (QUIET_SECONDS + REPORT_SECONDS))
    assert 10 <= reporting.database.calls["report_status"] <= 12
    assert reporting.database.calls["journal"] == 0


async def test_many_changes_are_one_write(reporting: Reporting) -> None:
    async with reporting.running():
        await asyncio.sleep(1)
        for _ in range(100):
            reporting.reporter.status_changed()
            await asyncio.sleep(0.01)
        await asyncio.sleep(REPORT_SECONDS)
    assert reporting.database.calls["report_status"] <= 3


async def test_a_database_that_comes_back_gets_all_in_order_and_once(reporting: Reporting) -> None:
    reporting.database.failure = DATABASE_AWAY
    async with reporting.running():
        for number in range(50):
            reporting.journal(number)
            await asyncio.sleep(60)
        assert reporting.written == []
        reporting.database.failure = None
        await reporting.until(lambda: reporting.written == list(range(50)), seconds=REPORT_SECONDS + 1)
        reporting.journal(50)
        await reporting.until(lambda: len(reporting.written) == 51, seconds=REPORT_SECONDS + 1)
    assert reporting.written == list(range(51))


async def test_memory_is_bounded_and_the_oldest_go_first(reporting: Reporting) -> None:
    reporting.database.failure = DATABASE_AWAY
    async with reporting.running():
        reporting.journal(*range(KEPT_ENTRIES + 500))
        await asyncio.sleep(60)
        assert len(reporting.reporter._journal._entries) == KEPT_ENTRIES
        reporting.database.failure = None
        await reporting.until(lambda: bool(reporting.written), seconds=REPORT_SECONDS + 1)
    assert reporting.written == list(range(500, KEPT_ENTRIES + 500))


async def test_entries_that_push_out_what_is_being_written_are_kept(
    reporting: Reporting, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = reporting.database.journal

    async def write_slowly(entries: list[JournalEntry]) -> None:
        if not reporting.written:
            reporting.journal(*range(2, KEPT_ENTRIES + 2))
        await write(entries)

    monkeypatch.setattr(reporting.database, "journal", write_slowly)
    reporting.journal(0, 1)
    await reporting.reporter.flush()
    await reporting.reporter.flush()
    assert reporting.written == list(range(KEPT_ENTRIES + 2))


async def test_a_write_whose_answer_was_lost_is_repeated_and_not_doubled(reporting: Reporting) -> None:
    reporting.database.lost["journal"] = deque([DATABASE_AWAY])
    async with reporting.running():
        reporting.journal(1, 2)
        await reporting.until(lambda: reporting.database.calls["journal"] == 2, seconds=2 * REPORT_SECONDS)
    assert reporting.written == [1, 2]


async def test_an_entry_that_the_database_refuses_does_not_hide_the_node(reporting: Reporting) -> None:
    refusal = PermanentError("DatabaseError", "invalid byte sequence")
    reporting.database.refused["journal"] = deque([refusal] * 1000)
    reporting.journal(1)
    async with reporting.running():
        reporting.height = 7
        reporting.reporter.status_changed()
        await reporting.until(lambda: reporting.reported == 7, seconds=REPORT_SECONDS + 1)
        reporting.height = 8
        reporting.reporter.status_changed()
        await reporting.until(lambda: reporting.reported == 8, seconds=REPORT_SECONDS + 1)


async def test_cancelled_in_the_middle_it_loses_nothing(reporting: Reporting, monkeypatch: pytest.MonkeyPatch) -> None:
    write = reporting.database.journal
    stuck = asyncio.Event()

    async def never(entries: list[JournalEntry]) -> None:
        stuck.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(reporting.database, "journal", never)
    reporting.journal(1)
    async with reporting.running():
        async with asyncio.timeout(10):
            await stuck.wait()
    monkeypatch.setattr(reporting.database, "journal", write)
    await reporting.reporter.flush()  # the service's last words
    assert reporting.written == [1]


async def test_an_entry_does_not_wait_for_the_status(reporting: Reporting) -> None:
    async with reporting.running():
        await reporting.until(lambda: reporting.reported == 0, seconds=1)
        for number in range(3):  # within the pause between two reports
            reporting.journal(number)
            await asyncio.sleep(0)
            await reporting.until(lambda number=number: number in reporting.written, seconds=0.5)  # type: ignore[misc]
    assert reporting.database.calls["report_status"] == 1


async def test_what_waits_while_the_database_is_away_outlives_a_kill(tmp_path: Path) -> None:
    killed = Reporting(tmp_path / "journal.json")
    killed.database.failure = DATABASE_AWAY
    async with killed.running():
        killed.journal(1, 2)
        await killed.until((tmp_path / "journal.json").exists, seconds=5)
        killed.journal(3)
        await asyncio.sleep(10)
    again = Reporting(tmp_path / "journal.json")
    async with again.running():
        again.journal(4)
        await again.until(lambda: again.written == [1, 2, 3, 4], seconds=5)
        assert again.database.journalled[0] == entry(1)
        await again.until(lambda: not (tmp_path / "journal.json").exists(), seconds=5)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'[{"at": "noon"}]', b'{"at": 1}', b"null"])
async def test_a_file_that_cannot_be_read_is_no_obstacle(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "journal.json").write_bytes(content)
    reporting = Reporting(tmp_path / "journal.json")
    async with reporting.running():
        reporting.journal(1)
        await reporting.until(lambda: reporting.written == [1], seconds=5)


@pytest.mark.parametrize("error", [OverflowError("date value out of range"), OSError(24, "Too many open files")])
@pytest.mark.parametrize("method", ["report_status", "journal"])
async def test_what_nobody_foresaw_is_logged_once_and_ends_nothing(
    reporting: Reporting, monkeypatch: pytest.MonkeyPatch, log: io.StringIO, method: str, error: Exception
) -> None:
    async def refuse(_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(reporting.database, method, refuse)
        async with reporting.running():
            reporting.journal(1)
            await asyncio.sleep(10 * REPORT_SECONDS)
            patch.undo()
            await reporting.until(lambda: reporting.written == [1] and reporting.reported == 0, seconds=60)
    assert log.getvalue().count("Traceback") == 1


async def test_a_database_that_is_away_is_no_news(reporting: Reporting, log: io.StringIO) -> None:
    reporting.database.failure = DATABASE_AWAY
    async with reporting.running():
        reporting.journal(1)
        await asyncio.sleep(10 * REPORT_SECONDS)
    assert "Traceback" not in log.getvalue()


@pytest.mark.parametrize(
    "error", [TemporaryError("DatabaseReadOnly", "a standby"), PermanentError("DatabaseRefused", "permission denied")]
)
async def test_what_is_not_written_is_a_condition_until_it_is(tmp_path: Path, error: ServiceError) -> None:
    reporting = Reporting(tmp_path / "journal.json")

    def held() -> list[Condition]:
        return list(reporting.conditions)

    async with reporting.running():
        reporting.database.refused["journal"] = deque([error] * 3)
        reporting.database.refused["report_status"] = deque([error] * 3)
        reporting.journal(1)
        await asyncio.sleep(2)
        (condition,) = held()
        assert (condition.type, condition.reason) == ("not_written", error.reason)
        assert "its status, the journal" in condition.message
        await asyncio.sleep(4 * REPORT_SECONDS)
        assert held() == []
    assert reporting.written == [1]


async def test_a_database_that_is_away_is_told_of_by_who_reads_it(tmp_path: Path) -> None:
    reporting = Reporting(tmp_path / "journal.json")
    reporting.database.failure = DATABASE_AWAY
    async with reporting.running():
        reporting.journal(1)
        await asyncio.sleep(2 * REPORT_SECONDS)
        assert list(reporting.conditions) == []


async def test_a_machine_without_threads_keeps_what_waits_in_memory(
    reporting: Reporting, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    reporting.database.failure = DATABASE_AWAY
    async with reporting.running():
        await asyncio.sleep(1)
        monkeypatch.setattr("node_fsm.engine.journal.in_thread", refuse)
        reporting.journal(1)
        await asyncio.sleep(10)
        reporting.database.failure = None
        await reporting.until(lambda: reporting.written == [1], seconds=10)
