import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import ANY

import asyncpg
from sqlalchemy import make_url

from node_fsm.core.model import ArchiveKind, Block0Ref, NodeRow, Overview, StoredArchive
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.database.specifications import PAUSE_SECONDS
from tests.database.world import START, add_election, publish, results_of
from tests.support.fakes import FACT
from tests.support.polling import HANGING

_GRANT_ALL_BUT_LARGE_COLUMNS = """
    DO $$ BEGIN
        EXECUTE (
            SELECT string_agg(format('GRANT SELECT (%I) ON %I TO narrow', column_name, table_name), ';')
            FROM information_schema.columns
            WHERE table_schema = 'public' AND column_name NOT IN ('extras', 'tally_snapshot')
        );
    END $$
"""
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def fingerprinted(database: PostgresDatabase, *hashes: str) -> Overview:
    """The overview, once all elections have their fingerprints."""
    async with asyncio.timeout(HANGING):
        while True:
            overview = await database.overview(hashes)
            if all(election.fingerprint for election in overview.elections):
                return overview
            await asyncio.sleep(0.01)


async def archive(database: PostgresDatabase, election: int, block0_hash: str, kind: ArchiveKind) -> None:
    await database.save_archive(
        StoredArchive(election, "Fund 1", block0_hash, f"run-{kind}", kind, "tip", "s3://b/k", "00", 1, "{}", START),
        FACT,
    )


async def test_an_empty_database_has_nothing_to_do(database: PostgresDatabase) -> None:
    overview = await database.overview([])
    assert (overview.elections, overview.missed, overview.nodes) == ((), (), ())


async def test_elections_come_in_the_order_of_their_start(database: PostgresDatabase, sql: asyncpg.Connection) -> None:
    later = await add_election(sql, "Later", start=START + timedelta(days=1))
    first = await add_election(sql, "First")
    second = await add_election(sql, "Second")
    overview = await database.overview([])
    assert [election.id for election in overview.elections] == [first, second, later]


async def test_an_election_is_read_with_the_revision_of_its_fingerprint(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int
) -> None:
    before = (await fingerprinted(database)).elections[0]
    await sql.execute("UPDATE voter SET voting_power = 501 WHERE voting_power = 500")
    after = (await fingerprinted(database)).elections[0]
    assert after.revision == before.revision + 1
    assert after.fingerprint != before.fingerprint
    spec = await database.specification(election)
    assert (spec.revision, spec.fingerprint) == (after.revision, after.fingerprint)


async def test_unchanged_voters_are_not_read_again(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int
) -> None:
    known = await fingerprinted(database)
    async with sql.transaction():
        await sql.execute("LOCK TABLE voter, proposal IN ACCESS EXCLUSIVE MODE")
        assert (await database.overview([])).elections == known.elections


async def test_voters_are_not_waited_for(database: PostgresDatabase, sql: asyncpg.Connection, election: int) -> None:
    """Of an election with many voters a cancel is seen at once, and so is everything of all others."""
    async with sql.transaction():
        await sql.execute("LOCK TABLE voter IN ACCESS EXCLUSIVE MODE")
        (before,) = (await database.overview([])).elections
        assert before.fingerprint is None
    assert (await fingerprinted(database)).elections == (
        replace(before, fingerprint=(await database.specification(election)).fingerprint),
    )


async def test_who_listens_is_told_of_a_fingerprint(database: PostgresDatabase, election: int) -> None:
    told = asyncio.Event()
    listening = asyncio.create_task(database.listen(told.set, lambda _: None))
    async with asyncio.timeout(HANGING):
        await told.wait()
        told.clear()
        assert (await database.overview([])).elections[0].fingerprint is None
        await told.wait()
        assert (await database.overview([])).elections[0].fingerprint is not None
    listening.cancel()
    await asyncio.wait({listening})


async def test_a_node_reads_no_voter(database_url: str, sql: asyncpg.Connection, election: int) -> None:
    node = PostgresDatabase(database_url, fingerprints=False)
    async with sql.transaction():
        await sql.execute("LOCK TABLE voter, proposal IN ACCESS EXCLUSIVE MODE")
        assert [row.id for row in (await node.overview([])).elections] == [election]
        await node.close()  # nothing waits for those tables
        waiting = await sql.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted")
    assert waiting == 0


async def test_many_edits_at_once_are_few_readings_of_the_voters(
    database_url: str, sql: asyncpg.Connection, election: int
) -> None:
    readings: Counter[str] = Counter()

    @contextmanager
    def count(operation: str) -> Iterator[None]:
        readings[operation] += 1
        yield

    database = PostgresDatabase(database_url, timed=count)
    loop = asyncio.get_running_loop()
    start = loop.time()
    for power in range(1, 101):
        await sql.execute("UPDATE voter SET voting_power = $1 WHERE voting_group = 'rep'", power)
        await database.overview([])
    last = (await fingerprinted(database)).elections[0].fingerprint
    assert readings["specification"] <= 2 + (loop.time() - start) / PAUSE_SECONDS
    assert last == (await database.specification(election)).fingerprint
    await database.close()


async def test_elections_that_ended_without_block0_are_missed(
    database: PostgresDatabase, sql: asyncpg.Connection
) -> None:
    missed = await add_election(sql, "Missed", start=LONG_AGO)
    await add_election(sql, "Cancelled", start=LONG_AGO, cancelled_at=LONG_AGO)
    cancelled = await add_election(sql, "Cancelled in time", cancelled_at=LONG_AGO)
    overview = await database.overview([])
    assert [(election.id, election.name) for election in overview.missed] == [(missed, "Missed")]
    assert [(election.id, election.cancelled) for election in overview.elections] == [(cancelled, True)]


async def test_a_published_election_is_listed_until_its_final_archive(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    await sql.execute(
        "UPDATE election SET voting_start = $1, voting_end = $2, tallying_end = $3",
        *(LONG_AGO + timedelta(days=days) for days in range(3)),
    )
    listed = (await database.overview([])).elections[0]
    assert listed.block0 == Block0Ref(
        publication.hash, publication.size, publication.fingerprint, publication.generation, publication.dates
    )
    assert not listed.results_posted
    await database.post_results(election, publication.hash, results_of(publication), FACT)
    assert (await database.overview([])).elections[0].results_posted
    await archive(database, election, publication.hash, ArchiveKind.SALVAGE)
    assert (await database.overview([])).elections
    await archive(database, election, publication.hash, ArchiveKind.FINAL)
    overview = await database.overview([])
    assert (overview.elections, overview.missed) == ((), ())


async def test_only_the_asked_for_chains_are_reported(
    database: PostgresDatabase, election: int, tmp_path: Path
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    await database.withdraw_block0(election, publication.hash, publication.generation, FACT)
    await archive(database, election, publication.hash, ArchiveKind.SALVAGE)
    assert (await database.overview([publication.hash])).archived == frozenset(), "it may lack blocks"
    await archive(database, election, publication.hash, ArchiveKind.SUPERSEDED)
    nothing = await database.overview(["b" * 64])
    assert (nothing.archived, nothing.withdrawn) == (frozenset(), frozenset())
    both = await database.overview([publication.hash, "b" * 64])
    assert both.archived == both.withdrawn == {publication.hash}
    assert both.elections[0].block0 is None


async def test_nodes_are_read_with_their_addresses(database: PostgresDatabase, sql: asyncpg.Connection) -> None:
    await sql.execute("INSERT INTO jorm_nodes VALUES ('b', 'ed25519_pk1b', NULL), ('a', NULL, '/dns4/a/tcp/1')")
    assert (await database.overview([])).nodes == (
        NodeRow("a", None, "/dns4/a/tcp/1"),
        NodeRow("b", "ed25519_pk1b", None),
    )


async def test_the_time_is_the_databases(database: PostgresDatabase, sql: asyncpg.Connection) -> None:
    before = await sql.fetchval("SELECT clock_timestamp()")
    time = (await database.overview([])).database_time
    assert before <= time <= await sql.fetchval("SELECT clock_timestamp()")


async def test_a_reading_touches_neither_block0_nor_snapshots(
    database: PostgresDatabase, sql: asyncpg.Connection, database_url: str, election: int, tmp_path: Path
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    await sql.execute("CREATE ROLE narrow LOGIN PASSWORD 'narrow'")
    try:
        await sql.execute(_GRANT_ALL_BUT_LARGE_COLUMNS)
        narrow = PostgresDatabase(
            make_url(database_url).set(username="narrow", password="narrow").render_as_string(False)
        )
        seen = [await fingerprinted(reader, publication.hash) for reader in (narrow, database)]
        assert seen[0] == replace(seen[1], database_time=ANY)
        await narrow.close()
    finally:
        await sql.execute("DROP OWNED BY narrow")
        await sql.execute("DROP ROLE narrow")
