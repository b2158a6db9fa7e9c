import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy import make_url, text

from node_fsm.core.backoff import Backoff
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.database.listen import BURST_SECONDS, PATIENCE, SPARE_SECONDS, Burst, Patience
from tests.support.polling import HANGING, eventually
from tests.support.proxy import FaultyProxy

IMPATIENT = Patience(silence=0.2, answer=0.3, retry=Backoff(0.05, 0.1))
PATIENT = Patience(silence=60, answer=5, retry=Backoff(0.05, 0.1))


class Calls:
    """Counts."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1

    async def more_than(self, count: int) -> None:
        await eventually(lambda: self.count > count)


Problem = tuple[str, str] | None


@asynccontextmanager
async def listening(
    database: PostgresDatabase, calls: Calls, patience: Patience = PATIENCE, problems: list[Problem] | None = None
) -> AsyncIterator[None]:
    """The task that listens, as the service runs it: it never ends by itself."""
    heard = problems if problems is not None else []
    task = asyncio.create_task(database.listen(calls, heard.append, patience))
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait({task})


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
    async with listening(database, calls):
        await calls.more_than(0)
        assert calls.count == 1
        await sql.execute("INSERT INTO jorm_nodes VALUES ('leader0')")
        await calls.more_than(1)
    before = calls.count
    await sql.execute("DELETE FROM jorm_nodes")
    async with listening(database, again := Calls()):
        await again.more_than(0)
    assert calls.count == before


async def test_a_terminated_connection_is_replaced_at_once(database: PostgresDatabase, sql: asyncpg.Connection) -> None:
    calls = Calls()
    async with listening(database, calls, PATIENT):
        await calls.more_than(0)
        await sql.execute("SELECT pg_terminate_backend($1)", await _listener(sql))
        await calls.more_than(1)
        await sql.execute("INSERT INTO jorm_nodes VALUES ('leader0')")
        await calls.more_than(2)


async def test_a_connection_whose_other_end_vanished_is_noticed(database_url: str, sql: asyncpg.Connection) -> None:
    calls, problems = Calls(), list[Problem]()
    with FaultyProxy(port_of(database_url)) as proxy:
        database = through(proxy, database_url)
        async with listening(database, calls, IMPATIENT, problems):
            await calls.more_than(0)
            proxy.blackhole()
            await sql.execute("INSERT INTO jorm_nodes VALUES ('leader0')")
            await eventually(lambda: any(problems))
            assert calls.count == 1
            proxy.heal()
            await calls.more_than(1)
            before = calls.count
            await sql.execute("DELETE FROM jorm_nodes")
            await calls.more_than(before)
        await database.close()


async def test_it_waits_for_a_database_that_is_not_there_yet(database_url: str) -> None:
    calls, problems = Calls(), list[Problem]()
    with FaultyProxy(port_of(database_url)) as proxy:
        proxy.refuse()
        database = through(proxy, database_url)
        async with listening(database, calls, IMPATIENT, problems):
            await eventually(lambda: any(problems))
            assert calls.count == 0
            proxy.heal()
            await calls.more_than(0)
        await database.close()


async def test_a_silent_connection_is_kept(database: PostgresDatabase, sql: asyncpg.Connection) -> None:
    calls = Calls()
    async with listening(database, calls, Patience(silence=0.02, answer=5)):
        await calls.more_than(0)
        pid = await _listener(sql)
        await eventually_queried(sql, pid)
        assert await _listener(sql) == pid
        assert calls.count == 1


async def _listener(sql: asyncpg.Connection) -> int:
    """The connection that listens, not the pooled one that was notified from: told apart by what it asked last."""
    [row] = await sql.fetch(
        "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
        " AND backend_type = 'client backend' AND (query LIKE 'LISTEN %' OR query = 'SELECT 1')"
    )
    pid: int = row["pid"]
    return pid


async def eventually_queried(sql: asyncpg.Connection, pid: int) -> None:
    """Return once the listener has tested its connection several times."""
    async with asyncio.timeout(HANGING):
        starts: set[datetime] = set()
        while len(starts) < 4:
            starts.add(await sql.fetchval("SELECT query_start FROM pg_stat_activity WHERE pid = $1", pid))


async def test_a_burst_is_a_few_calls(database: PostgresDatabase, sql: asyncpg.Connection) -> None:
    calls = Calls()
    async with listening(database, calls):
        await calls.more_than(0)
        start = asyncio.get_running_loop().time()
        for number in range(200):
            await sql.execute("INSERT INTO jorm_nodes VALUES ($1)", f"node{number}")
        await calls.more_than(2)
        await asyncio.sleep(1.5 * BURST_SECONDS)
        lasted = asyncio.get_running_loop().time() - start
    assert calls.count <= 2 + (SPARE_SECONDS + lasted) / BURST_SECONDS


async def test_an_error_of_any_kind_is_told_and_outlived(
    database: PostgresDatabase, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = database.session.connect
    failures = [TypeError("connect() got multiple values for keyword argument 'timeout'"), ValueError("?"), OSError(24)]

    async def fail_at_first() -> asyncpg.Connection:
        if failures:
            raise failures.pop(0)
        return await connect()

    monkeypatch.setattr(database.session, "connect", fail_at_first)
    calls, problems = Calls(), list[Problem]()
    async with listening(database, calls, IMPATIENT, problems):
        await calls.more_than(0)
        await sql.execute("INSERT INTO jorm_nodes VALUES ('leader0')")
        await calls.more_than(1)
    reasons = [problem[0] if problem else None for problem in problems]
    assert reasons == ["UnexpectedError", "DatabaseError", "DatabaseUnavailable", None]


async def test_it_is_cancelled_whatever_it_does(database_url: str) -> None:
    with FaultyProxy(port_of(database_url)) as proxy:
        for break_ in (proxy.heal, proxy.refuse, proxy.blackhole):
            break_()
            database = through(proxy, database_url)
            task = asyncio.create_task(database.listen(lambda: None, lambda _: None))
            await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.wait({task}, timeout=HANGING)
            assert task.cancelled()
            proxy.heal()
            await database.close()


async def test_after_the_last_signal_comes_a_call_and_the_first_ones_wait_for_nothing() -> None:
    loop = asyncio.get_running_loop()
    signals, calls = list[float](), list[float]()
    burst = Burst(lambda: calls.append(loop.time()))
    start = loop.time()
    while loop.time() < start + 3 * BURST_SECONDS:
        signals.append(loop.time())
        burst.signal()
        await asyncio.sleep(0.01)
    await eventually(lambda: bool(calls) and calls[-1] >= signals[-1])
    assert len(calls) <= 2 + (SPARE_SECONDS + calls[-1] - start) / BURST_SECONDS
    assert calls[1] - start < BURST_SECONDS, "a second change is not kept waiting"
    burst.close()


async def test_a_pooler_that_delivers_nothing_is_refused_with_the_reason(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LISTEN succeeds behind a pooler in transaction mode; only a notification of one's own shows that it is heard."""
    monkeypatch.setattr("node_fsm.database.listen._NOTIFY", text("SELECT :channel"))
    problems: list[Problem] = []
    async with listening(database, Calls(), IMPATIENT, problems):
        await eventually(lambda: bool(problems))
    assert problems[0] is not None
    assert problems[0][0] == "PoolerUnsuitable"
    assert "session mode" in problems[0][1]
