import asyncio
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit

import asyncpg
import pytest
from loguru import logger
from sqlalchemy import make_url

from node_fsm.database.adapter import PostgresDatabase
from node_fsm.database.listen import Patience
from tests.support.polling import eventually
from tests.support.proxy import FaultyProxy

IMPATIENT = Patience(silence=0.2, answer=0.3, first_retry=0.05, longest_retry=0.1)
PATIENT = Patience(silence=60, answer=5, first_retry=0.05, longest_retry=0.1)


class Calls:
    """Counts."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1

    async def more_than(self, count: int) -> None:
        await eventually(lambda: self.count > count)


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    """What is warned of."""
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), level="WARNING", format="{message}")
    yield lines
    logger.remove(sink)


def through(proxy: FaultyProxy, url: str) -> PostgresDatabase:
    """The adapter behind the proxy."""
    return PostgresDatabase(make_url(url).set(port=proxy.port).render_as_string(hide_password=False))


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


async def test_it_calls_once_it_listens_and_then_for_every_change(
    database: PostgresDatabase, sql: asyncpg.Connection
) -> None:
    calls = Calls()
    async with database.changes(calls):
        await calls.more_than(0)
        assert calls.count == 1
        await sql.execute("INSERT INTO jorm_nodes VALUES ('leader0')")
        await calls.more_than(1)
    before = calls.count
    await sql.execute("DELETE FROM jorm_nodes")
    async with database.changes(again := Calls()):
        await again.more_than(0)
    assert calls.count == before


async def test_a_terminated_connection_is_replaced_at_once(database: PostgresDatabase, sql: asyncpg.Connection) -> None:
    calls = Calls()
    async with database.changes(calls, PATIENT):
        await calls.more_than(0)
        await sql.execute("SELECT pg_terminate_backend($1)", await _listener(sql))
        await calls.more_than(1)
        await sql.execute("INSERT INTO jorm_nodes VALUES ('leader0')")
        await calls.more_than(2)


async def test_a_connection_whose_other_end_vanished_is_noticed(
    database_url: str, sql: asyncpg.Connection, warnings: list[str]
) -> None:
    calls = Calls()
    with FaultyProxy(port_of(database_url)) as proxy:
        database = through(proxy, database_url)
        async with database.changes(calls, IMPATIENT):
            await calls.more_than(0)
            proxy.blackhole()
            await sql.execute("INSERT INTO jorm_nodes VALUES ('leader0')")
            await eventually(lambda: bool(warnings))
            assert calls.count == 1
            proxy.heal()
            await calls.more_than(1)
            before = calls.count
            await sql.execute("DELETE FROM jorm_nodes")
            await calls.more_than(before)
        await database.close()


async def test_it_waits_for_a_database_that_is_not_there_yet(database_url: str, warnings: list[str]) -> None:
    calls = Calls()
    with FaultyProxy(port_of(database_url)) as proxy:
        proxy.refuse()
        database = through(proxy, database_url)
        async with database.changes(calls, IMPATIENT):
            await eventually(lambda: bool(warnings))
            assert calls.count == 0
            proxy.heal()
            await calls.more_than(0)
        await database.close()


async def test_a_silent_connection_is_kept(database: PostgresDatabase, sql: asyncpg.Connection) -> None:
    calls = Calls()
    async with database.changes(calls, Patience(silence=0.02, answer=5)):
        await calls.more_than(0)
        pid = await _listener(sql)
        await eventually_queried(sql, pid)
        assert await _listener(sql) == pid
        assert calls.count == 1


async def _listener(sql: asyncpg.Connection) -> int:
    pid: int = await sql.fetchval(
        "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
        " AND backend_type = 'client backend'"
    )
    return pid


async def eventually_queried(sql: asyncpg.Connection, pid: int) -> None:
    """Return once the listener has tested its connection several times."""
    async with asyncio.timeout(10):
        starts: set[datetime] = set()
        while len(starts) < 4:
            starts.add(await sql.fetchval("SELECT query_start FROM pg_stat_activity WHERE pid = $1", pid))
