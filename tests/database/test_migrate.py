import asyncio

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from node_fsm_sandbox.servers.postgres import EmbeddedPostgres

from node_fsm.core.errors import PermanentError
from node_fsm.database import tables
from node_fsm.database.migrate import upgrade
from node_fsm.database.session import Session


async def test_the_migrations_make_the_tables_that_queries_name(database_url: str) -> None:
    session = Session(database_url)
    async with session.transaction("compare") as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(
                MigrationContext.configure(sync, opts={"compare_type": True, "compare_server_default": True}),
                tables.metadata,
            )
        )
    await session.close()
    assert differences == []


async def test_concurrent_upgrades_of_an_empty_database_all_succeed(postgres_server: EmbeddedPostgres) -> None:
    url = await postgres_server.create_database("upgraded_at_once")
    await asyncio.gather(*(upgrade(url) for _ in range(4)))
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    versions = await connection.fetch("SELECT version_num FROM alembic_version")
    await connection.close()
    await postgres_server.drop_database("upgraded_at_once")
    assert len(versions) == 1


async def test_upgrading_again_keeps_the_rows(database_url: str, sql: asyncpg.Connection, election: int) -> None:
    await upgrade(database_url)
    assert await sql.fetchval("SELECT count(*) FROM voter") == 4


async def test_a_database_of_a_newer_version_is_left_alone(database_url: str, sql: asyncpg.Connection) -> None:
    await sql.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(PermanentError, match=r"9999.*newer node-fsm"):
        await upgrade(database_url)


async def test_block0_is_stored_without_trying_to_compress_it(sql: asyncpg.Connection) -> None:
    storage = await sql.fetchval(
        "SELECT attstorage FROM pg_attribute WHERE attrelid = 'election'::regclass AND attname = 'extras'"
    )
    assert storage == b"e"


async def test_times_are_kept_with_their_zone(sql: asyncpg.Connection) -> None:
    without_zone = await sql.fetch(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND data_type LIKE 'timestamp without%'"
    )
    assert without_zone == []
