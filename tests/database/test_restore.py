"""A dump restored with ``pg_restore --data-only`` into a migrated database, as docs/database.md says."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
from node_fsm_sandbox.servers.postgres import INSTALLATION, EmbeddedPostgres, installed

from node_fsm.core.model import UncountedVote
from node_fsm.database.adapter import PostgresDatabase
from tests.database.world import publish, results_of
from tests.support.fakes import FACT
from tests.support.polling import HANGING

_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"


@pytest.mark.parametrize("options", [(), ("--single-transaction",), ("--disable-triggers",)], ids=" ".join)
async def test_a_dump_of_the_data_fills_a_migrated_database(
    database: PostgresDatabase,
    sql: asyncpg.Connection,
    election: int,
    postgres_server: EmbeddedPostgres,
    database_template: str,
    database_url: str,
    tmp_path: Path,
    options: tuple[str, ...],
) -> None:
    await sql.execute("INSERT INTO jorm_nodes (hostname, leader_id) VALUES ('leader0', $1)", "ed25519_pk1" + "q" * 58)
    publication, _ = await publish(database, election, tmp_path)
    await database.post_results(election, publication.hash, results_of(publication), FACT)
    lost = UncountedVote("e" * 64, "f" * 64, 5, "it expired", b"\x01")
    await database.report_uncounted(election, "Fund 1", publication.hash, "leader0", [lost])
    await sql.execute("UPDATE election SET description = 'edited'")

    dump, name = tmp_path / "dump", f"restored_{database_url.rpartition('/')[2]}"
    url = await postgres_server.create_database(name, template=database_template)
    try:
        await _run("pg_dump", "--data-only", "--format=custom", "-T", "alembic_version", f"--file={dump}", database_url)
        await _run("pg_restore", "--data-only", "--exit-on-error", *options, f"--dbname={_plain(url)}", str(dump))
        restored = await asyncpg.connect(_plain(url))
        try:
            tables = {row[0] for row in await sql.fetch(_TABLES)} - {"election_revision"}
            assert {"election", "voter", "vote_plan_proposal", "tally_result", "uncounted_vote"} <= tables
            for table in tables:
                assert await _rows(restored, table) == await _rows(sql, table), table
            revision = "SELECT revision FROM election_revision WHERE election = $1"
            # What a service has read of the election before is not taken for what stands there now.
            assert await restored.fetchval(revision, election) >= await sql.fetchval(revision, election)
            assert await restored.fetchval("SELECT nextval('election_id_seq')") > election
        finally:
            await restored.close()
    finally:
        await postgres_server.drop_database(name)


async def _rows(connection: asyncpg.Connection, table: str) -> list[str]:
    return [row[0] for row in await connection.fetch(f"SELECT t::text FROM {table} t ORDER BY 1")]


async def _run(program: str, *arguments: str) -> None:
    executable = installed() / INSTALLATION / "bin" / program
    process = await asyncio.create_subprocess_exec(
        executable, *map(_plain, arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(HANGING):
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


def _plain(url: str) -> str:
    """As libpq has it."""
    return url.replace("+asyncpg", "")
