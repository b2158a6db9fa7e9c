"""The journal as people and programs read it, also while it goes on."""

import asyncio
import csv
import json
import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from node_fsm.cli.journal import JOURNAL, entry_lines
from node_fsm.core.errors import TemporaryError
from node_fsm.core.model import JournalEntry
from node_fsm.database.adapter import PostgresDatabase
from tests.cli.commands import invoke
from tests.support.polling import HANGING

AT = datetime(2030, 1, 1, 12, tzinfo=UTC)


def entry(number: int, *, hostname: str = "leader0", election: str | None = "Fund 1") -> JournalEntry:
    moment = AT + timedelta(seconds=number)
    return JournalEntry(hostname, 1, election, "Running", "voting_ended", "Tallying", moment, f"reason {number}")


async def write(url: str, entries: Sequence[JournalEntry]) -> None:
    database = PostgresDatabase(url)
    try:
        await database.journal(entries)
    finally:
        await database.close()


@pytest.fixture(autouse=True)
def environment(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_FSM_DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "80")


async def test_the_latest_entries_are_shown_the_last_at_the_end(database_url: str) -> None:
    await write(database_url, [entry(number) for number in range(5)])
    assert (await invoke("journal", "--limit", "2")).stdout == (
        "2030-01-01 12:00:03Z  leader0  Fund 1  voting_ended: Running -> Tallying\n  reason 3\n"
        "2030-01-01 12:00:04Z  leader0  Fund 1  voting_ended: Running -> Tallying\n  reason 4\n"
    )
    rows = json.loads((await invoke("journal", "--output", "json")).stdout)
    assert [row["reason"] for row in rows] == [f"reason {number}" for number in range(5)]
    assert list(rows[0]) == [column.name for column in JOURNAL]
    assert len(list(csv.DictReader((await invoke("journal", "--output", "csv")).stdout.splitlines()))) == 5


async def test_entries_of_one_host_or_election_are_shown(database_url: str) -> None:
    entries = [entry(0), entry(1, hostname="leader1"), entry(2, election="Fund 2")]
    await write(database_url, entries)
    for option, value, expected in (("--node", "leader1", 1), ("--election", "Fund 2", 2)):
        (row,) = json.loads((await invoke("journal", option, value, "--output", "json")).stdout)
        assert row["reason"] == f"reason {expected}"
    assert (await invoke("journal", "--node", "another")).stdout == "the journal has no such entries yet\n"


def test_what_other_programs_said_does_nothing_to_the_terminal() -> None:
    row = {
        "at": AT,
        "hostname": "h\x1b[2J",
        "election": None,
        "from": "Reset",
        "to": "Reset",
        "event": "e",
        "reason": "\x9b",
    }
    assert list(entry_lines(row, 80)) == ["2030-01-01 12:00:00Z  h\\x1b[2J  e", "  \\x9b"]


async def test_what_comes_is_followed_once_each_until_it_is_interrupted(database_url: str) -> None:
    await write(database_url, [entry(number) for number in range(3)])
    command = [sys.executable, "-c", "from node_fsm.__main__ import main; main()"]
    process = await asyncio.create_subprocess_exec(
        *command,
        "journal",
        "--follow",
        "--limit",
        "1",
        "--output",
        "json",
        stdout=asyncio.subprocess.PIPE,
        env=os.environ,
    )
    assert process.stdout
    sql = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        async with asyncio.timeout(HANGING):
            assert json.loads(await process.stdout.readline())["reason"] == "reason 2"
            await sql.execute("ALTER SEQUENCE phase_journal_id_seq RESTART WITH 20")
            await write(database_url, [entry(20)])
            assert json.loads(await process.stdout.readline())["reason"] == "reason 20"
            # One whose number was given before, and that is committed later.
            await sql.execute("ALTER SEQUENCE phase_journal_id_seq RESTART WITH 10")
            await write(database_url, [entry(10)])
            assert json.loads(await process.stdout.readline())["reason"] == "reason 10"
            process.send_signal(signal.SIGINT)
            assert await process.stdout.read() == b""
            assert await process.wait() == 0
    finally:
        await sql.close()
        if process.returncode is None:
            process.kill()


async def test_a_database_that_goes_away_is_waited_for(
    database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from node_fsm.cli import journal
    from node_fsm.database import journal as reader

    answers: list[object] = [
        [{"id": 1}],
        TemporaryError("DatabaseUnavailable", "away"),
        TemporaryError("DatabaseUnavailable", "away"),
        [{"id": 1}, {"id": 2}],
    ]

    async def read(*_: object, **__: object) -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(reader, "read_entries", read)
    for seconds in ("FOLLOW_SECONDS", "AWAY_SECONDS"):
        monkeypatch.setattr(journal, seconds, 0.0)
    news = journal._news(None, election=None, hostname=None, limit=9)  # type: ignore[arg-type]
    assert [await anext(news), await anext(news)] == [[{"id": 1}], [{"id": 2}]]
    assert capsys.readouterr().err == "DatabaseUnavailable: away; trying again\n"
