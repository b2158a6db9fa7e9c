"""A database that is away, slow, busy or read-only is a TemporaryError, and works again when it is back."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from node_fsm_sandbox.servers.postgres import EmbeddedPostgres
from sqlalchemy import make_url, text

from node_fsm.core.errors import PermanentError, ServiceError, TemporaryError
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.database.file_pieces import PIECE_SIZE
from node_fsm.database.migrate import upgrade
from tests.database.world import add_election, prepare, until_somebody_waits_for_a_lock
from tests.support.fakes import FACT
from tests.support.polling import HANGING
from tests.support.proxy import FaultyProxy


@pytest_asyncio.fixture
async def server() -> AsyncIterator[EmbeddedPostgres]:
    """A server that the test may break."""
    async with EmbeddedPostgres() as server:
        await upgrade(server.url())
        yield server


async def failure(database: PostgresDatabase) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        await database.overview([])
    password = database.session._engine.url.password
    assert password
    assert password not in str(caught.value)
    return caught.value


async def test_a_killed_server_is_unavailable_until_it_is_back_with_all_that_was_committed(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    database = PostgresDatabase(server.url())
    sql = await asyncpg.connect(server.url().replace("+asyncpg", ""))
    election = await add_election(sql)
    publication, file = await prepare(database, election, tmp_path)
    await database.publish_block0(publication, file, FACT)
    await server.kill()
    for _ in range(2):
        error = await failure(database)
        assert (type(error), error.reason) == (TemporaryError, "DatabaseUnavailable")
    await server.start()
    again = PostgresDatabase(server.url())  # the password is new after a start
    block0 = (await again.overview([])).elections[0].block0
    assert block0 is not None
    assert block0.hash == publication.hash
    await again.download_block0(election, publication.hash, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == file.read_bytes()
    for adapter in (database, again):
        await adapter.close()


async def test_a_server_that_hangs_is_given_up_and_works_when_it_goes_on(server: EmbeddedPostgres) -> None:
    database = PostgresDatabase(server.url())
    await database.overview([])
    await server.pause()
    try:
        with pytest.raises(TemporaryError) as caught:
            async with database.session.transaction("test", 0.3) as connection:
                await connection.execute(text("SELECT 1"))
    finally:
        await server.resume()
    assert caught.value.reason == "DatabaseTimeout"
    assert (await database.overview([])).elections == ()
    await database.close()


async def test_a_publication_cut_off_before_its_commit_leaves_nothing_and_may_be_repeated(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    sql = await asyncpg.connect(server.url().replace("+asyncpg", ""))
    election = await add_election(sql)
    with FaultyProxy(server.port) as proxy:
        database = PostgresDatabase(make_url(server.url()).set(port=proxy.port).render_as_string(False))
        publication, file = await prepare(database, election, tmp_path, size=5 * PIECE_SIZE)
        async with sql.transaction():
            await sql.execute("SELECT 1 FROM lease FOR UPDATE")
            publishing = asyncio.create_task(database.publish_block0(publication, file, FACT))
            await until_somebody_waits_for_a_lock(sql)
            proxy.cut()
            with pytest.raises(TemporaryError) as caught:
                await publishing
        assert caught.value.reason == "DatabaseUnavailable"
        assert (await database.overview([])).elections[0].block0 is None
        await database.publish_block0(publication, file, FACT)
        await database.close()
    await sql.close()


async def test_a_commit_whose_answer_was_lost_is_found_when_it_is_repeated(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    """The commit waits in a deferred trigger, so that the connection can be cut exactly there."""
    sql = await asyncpg.connect(server.url().replace("+asyncpg", ""))
    election = await add_election(sql)
    await sql.execute(
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END $$"
    )
    await sql.execute(
        "CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON published_specification DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION hold()"
    )
    with FaultyProxy(server.port) as proxy:
        database = PostgresDatabase(make_url(server.url()).set(port=proxy.port).render_as_string(False))
        publication, file = await prepare(database, election, tmp_path)
        await sql.execute("SELECT pg_advisory_lock(1)")
        publishing = asyncio.create_task(database.publish_block0(publication, file, FACT))
        await until_somebody_waits_for_a_lock(sql)
        proxy.cut()
        with pytest.raises(TemporaryError):
            await publishing
        await sql.execute("SELECT pg_advisory_unlock(1)")
        await _until_published(sql)
        await database.publish_block0(publication, file, FACT)
        assert await database.vote_plans(publication.hash) == publication.plans
        await database.close()
    await sql.close()


async def test_a_server_that_takes_no_writes_is_said_to(server: EmbeddedPostgres) -> None:
    sql = await asyncpg.connect(server.url().replace("+asyncpg", ""))
    await sql.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    await sql.execute("SELECT pg_reload_conf()")
    await sql.close()
    database = PostgresDatabase(server.url())
    assert (await database.overview([])).elections == ()
    with pytest.raises(TemporaryError) as caught:
        await database.acquire_lease("leader0", "storage", 60)
    assert caught.value.reason == "DatabaseReadOnly"
    sql = await asyncpg.connect(server.url().replace("+asyncpg", ""))
    await sql.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE")
    await sql.execute("ALTER SYSTEM RESET default_transaction_read_only")
    await sql.execute("SELECT pg_reload_conf()")
    await sql.close()
    assert await _eventually_writes(database)
    await database.close()


async def test_rows_that_somebody_holds_are_busy(database: PostgresDatabase, sql: asyncpg.Connection) -> None:
    await sql.execute("INSERT INTO jorm_nodes VALUES ('leader0')")
    async with sql.transaction():
        await sql.execute("UPDATE jorm_nodes SET p2p_address = 'mine'")
        with pytest.raises(TemporaryError) as caught:
            async with database.session.transaction("test") as connection:
                await connection.execute(
                    text("DO $$ BEGIN SET LOCAL lock_timeout = '50ms'; DELETE FROM jorm_nodes; END $$")
                )
    assert caught.value.reason == "DatabaseBusy"


@pytest.mark.parametrize(
    ("statement", "kind", "reason"),
    [
        ("SELECT pg_sleep(60)", TemporaryError, "DatabaseTimeout"),
        ("SELECT pg_terminate_backend(pg_backend_pid())", TemporaryError, "DatabaseUnavailable"),
        ("SELECT * FROM missing", PermanentError, "DatabaseSchemaOutdated"),
        ("SELECT missing FROM election", PermanentError, "DatabaseSchemaOutdated"),
        ("SELECT 1 / 0", PermanentError, "DatabaseError"),
    ],
)
async def test_what_the_server_says_is_translated(
    database: PostgresDatabase, statement: str, kind: type[ServiceError], reason: str
) -> None:
    with pytest.raises(ServiceError) as caught:
        async with database.session.transaction("test", 0.5) as connection:
            await connection.execute(text(statement))
    assert (type(caught.value), caught.value.reason) == (kind, reason)
    assert (await database.overview([])).elections == ()


@pytest.mark.parametrize(
    ("change", "kind", "reason"),
    [
        ({"password": "wrong"}, PermanentError, "DatabaseRefused"),
        ({"database": "missing"}, PermanentError, "DatabaseRefused"),
        ({"host": "host.invalid"}, TemporaryError, "DatabaseUnavailable"),
        ({"port": 1}, TemporaryError, "DatabaseUnavailable"),
    ],
)
async def test_a_connection_that_cannot_be_made_is_translated(
    database_url: str, change: dict[str, str], kind: type[ServiceError], reason: str
) -> None:
    url = make_url(database_url).set(**change)  # type: ignore[arg-type]  # each change fits its part
    database = PostgresDatabase(url.render_as_string(hide_password=False))
    error = await failure(database)
    await database.close()
    assert (type(error), error.reason) == (kind, reason)


async def test_a_database_without_schema_says_how_to_get_it(server: EmbeddedPostgres) -> None:
    database = PostgresDatabase(await server.create_database("empty"))
    error = await failure(database)
    await database.close()
    assert "node-fsm db upgrade" in error.message


async def test_more_callers_than_connections_wait_for_each_other(database: PostgresDatabase, election: int) -> None:
    overviews = await asyncio.gather(*(database.overview([]) for _ in range(40)))
    assert {overview.elections[0].id for overview in overviews} == {election}


async def test_operations_are_timed_by_name(database_url: str) -> None:
    seen: list[str] = []

    @contextmanager
    def note(operation: str) -> Iterator[None]:
        seen.append(operation)
        yield

    def timed(operation: str) -> AbstractContextManager[None]:
        return note(operation)

    database = PostgresDatabase(database_url, timed=timed)
    await database.overview([])
    await database.chain_copies("a" * 64)
    await database.close()
    assert seen == ["overview", "chain_copies"]


async def _until_published(sql: asyncpg.Connection) -> None:
    async with asyncio.timeout(HANGING):
        while not await sql.fetchval("SELECT EXISTS (SELECT FROM vote_plan)"):
            await asyncio.sleep(0.01)


async def _eventually_writes(database: PostgresDatabase) -> bool:
    async with asyncio.timeout(HANGING):
        while True:
            try:
                return await database.acquire_lease("leader0", "storage", 60) is not None
            except TemporaryError:
                await asyncio.sleep(0.05)
