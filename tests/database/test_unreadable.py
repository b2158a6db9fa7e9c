"""Rows that SQL put beside the service's checks: each concerns its own election, and nothing else stops for it."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from node_fsm_sandbox.servers.postgres import EmbeddedPostgres

from node_fsm.core.chain_time import END_OF_TIME, FIRST_TIME
from node_fsm.core.cluster import NodeReport
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import ArchiveKind, SignedFragment, StoredArchive, UncountedVote
from node_fsm.database import times
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.database.election_show import describe_election, list_elections
from node_fsm.database.migrate import upgrade
from tests.database.world import START, add_election, add_share, publish
from tests.support.fakes import FACT
from tests.support.polling import HANGING

ABSURD = {
    "20270-01-01 00:00+00": "20270-01-01 00:00:00+00",
    "0001-01-01 00:00+00": "0001-01-01 00:00:00+00",
    "0044-03-15 12:00+00 BC": "0044-03-15 12:00:00+00 BC",
    "9000-01-01 00:00+00": "9000-01-01 00:00:00+00",
    "1969-12-31 23:59:59+00": "1969-12-31 23:59:59+00",
    "infinity": "infinity",
    "-infinity": "-infinity",
}
"""As SQL is given it, and as it is shown."""

TIME_COLUMNS = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
TIME_COLUMNS += " AND data_type LIKE 'timestamp%' ORDER BY 1, 2"


async def drop_checks(sql: asyncpg.Connection) -> None:
    """As a schema without them had it, or somebody who took them away."""
    checks = await sql.fetch(
        "SELECT conrelid::regclass AS place, conname FROM pg_constraint WHERE contype = 'c'"
        " AND connamespace = 'public'::regnamespace"
    )
    for check in checks:
        await sql.execute(f'ALTER TABLE {check["place"]} DROP CONSTRAINT "{check["conname"]}"')


def report(hostname: str) -> NodeReport:
    return NodeReport(hostname, "Running", START, 1, "a" * 64, 5, "tip", "1.2", 1, (), "1", START, holds_chain=True)


@pytest.mark.parametrize("value", ABSURD)
async def test_a_time_that_cannot_be_is_refused_in_every_column(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path, value: str
) -> None:
    await fill(database, sql, election, tmp_path)
    for table, column in await sql.fetch(TIME_COLUMNS):
        with pytest.raises(asyncpg.CheckViolationError, match=f"{column}_can_be|voting_|tallying_"):
            await sql.execute(f"UPDATE {table} SET \"{column}\" = '{value}'")


@pytest.mark.parametrize("value", ABSURD)
async def test_a_time_that_cannot_be_stops_nothing_in_any_column(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path, value: str
) -> None:
    block0_hash = await fill(database, sql, election, tmp_path)
    other = await add_election(sql, "Other")
    await drop_checks(sql)
    for table, column in await sql.fetch(TIME_COLUMNS):
        undo = await sql.fetchval(f'SELECT "{column}"::text FROM {table} LIMIT 1')
        only = f"WHERE id = {election}" if table == "election" else ""
        await sql.execute(f"UPDATE {table} SET \"{column}\" = '{value}' {only}")
        overview = await database.overview([block0_hash])
        assert other in {listed.id for listed in overview.elections}, (table, column)
        assert overview.archived == {block0_hash}
        assert {row.id for row in overview.unreadable} <= {election}
        if (table, column) in {("election", "tallying_end"), ("vote_plan", "block0_date")}:
            (fault,) = overview.unreadable
            assert fault.name == "Fund 1"
            assert f"{table}.{column}" in fault.why
            assert ABSURD[value] in fault.why
        shown = {row["id"]: row for row in await list_elections(database.session)}
        assert bool(shown[election]["fault"]) == bool(overview.unreadable)
        assert shown[other]["fault"] is None
        await describe_election(database.session, "Fund 1")
        await database.neighbours(block0_hash, "other host")
        for answer in await asyncio.gather(
            database.specification(election), database.archive(block0_hash), return_exceptions=True
        ):
            if isinstance(answer, BaseException):
                assert isinstance(answer, PermanentError)
                assert answer.reason == "RowUnreadable"
                assert f"{table}.{column}" in answer.message
        await database.acquire_lease("leader0", "storage", 600)
        await sql.execute(f'UPDATE {table} SET "{column}" = $1::text::timestamptz {only}', undo)
        assert (await database.overview([])).unreadable == ()


async def fill(database: PostgresDatabase, sql: asyncpg.Connection, election: int, directory: Path) -> str:
    """A row in every table with times; the hash of the election's block 0."""
    publication, _ = await publish(database, election, directory)
    await database.report_status(report("leader0"))
    await database.save_archive(
        StoredArchive(election, "Fund 1", publication.hash, "r", ArchiveKind.SUPERSEDED, "", "", "", 1, "{}", START),
        FACT,
    )
    await sql.execute(
        "INSERT INTO tally VALUES ($1, 'plan', 0, $2, 'Fund 1', NULL, false, '')", publication.hash, election
    )
    await sql.execute("INSERT INTO tally_confirmation VALUES ($1, $2, 'Fund 1')", publication.hash, election)
    await database.hand_over(publication.hash, "leader0", [SignedFragment("f" * 64, b"")])
    lost = UncountedVote("f" * 64, "a" * 64, 1, "expired", b"")
    await database.report_uncounted(election, "Fund 1", publication.hash, "leader0", [lost])
    await database.save_tally_snapshot(
        publication.hash, {plan.id: {"committee_member_keys": ["member0"]} for plan in publication.plans}
    )
    await add_share(sql, "[]")
    return publication.hash


@pytest.mark.parametrize(
    ("damage", "column"),
    [
        ("UPDATE vote_plan SET vote_start = 'noon'", "vote_plan.vote_start"),
        ("UPDATE vote_plan SET vote_end = ''", "vote_plan.vote_end"),
        ("UPDATE vote_plan SET committee_end = '99999999999999999999.1'", "vote_plan.committee_end"),
        ("UPDATE vote_plan SET committee_end = '9' || repeat('9', 5000) || '.1'", "vote_plan.committee_end"),
        ("UPDATE vote_plan SET committee_end = '70000000.0'", "vote_plan.committee_end"),
        ("UPDATE vote_plan SET slot_duration = 0", "vote_plan.slot_duration"),
        ("UPDATE vote_plan SET slots_per_epoch = -1", "vote_plan.slots_per_epoch"),
        ("UPDATE vote_plan SET index = index + 100", "election.extras.block0"),
        ("UPDATE vote_plan SET block0_hash = 'another'", "election.extras.block0"),
        ("UPDATE election SET extras = jsonb_set(extras, '{block0,hash}', '\"../../etc\"')", "election.extras.block0"),
        ("UPDATE election SET extras = jsonb_set(extras, '{block0,hash}', '{\"a\": [1]}')", "election.extras.block0"),
        ("UPDATE election SET extras = jsonb_set(extras, '{block0,size}', '-5')", "election.extras.block0"),
        ("DELETE FROM election_revision", "election_revision"),
        ("UPDATE objective SET payload_type = 'secret'", "objective.payload_type"),
        ("UPDATE election SET voting_power_unit = 0", "division by zero"),
        ("UPDATE voter SET voting_power = -1, voting_key = 'x' || voting_key, address = ''", None),
        ("UPDATE proposal SET options = ARRAY[NULL], external_id = NULL", None),
        ("INSERT INTO jorm_nodes VALUES ('', 'x', 'nowhere'), (E'\\n', '', '/dns4//tcp/')", None),
        ("UPDATE chain_copy SET height = -9223372036854775808", None),
        ("UPDATE election SET extras = extras || '{\"block1\": [1e400, null]}'", None),
    ],
)
async def test_a_row_that_makes_no_sense_is_left_out_and_named(
    database: PostgresDatabase,
    sql: asyncpg.Connection,
    election: int,
    tmp_path: Path,
    damage: str,
    column: str | None,
) -> None:
    await publish(database, election, tmp_path)
    await database.report_status(report("leader0"))
    other = await add_election(sql, "Other", start=START + timedelta(days=9))
    await drop_checks(sql)
    if "UPDATE objective" in damage:
        damage += f" WHERE election = {election}"
    if damage.startswith(("UPDATE election SET voting", "DELETE FROM election_revision")):
        damage += f" WHERE {'election' if 'revision' in damage else 'id'} = {election}"
    await sql.execute(damage)
    overview = await database.overview([])
    async with asyncio.timeout(HANGING):
        while column and not overview.unreadable:  # what the voters' reading finds is told by the next one
            await asyncio.sleep(0.01)
            overview = await database.overview([])
    assert [row.id for row in overview.unreadable] == ([election] if column else [])
    assert other in {listed.id for listed in overview.elections}
    if column:
        assert column in overview.unreadable[0].why
        assert overview.is_unreadable(election)
        assert not overview.is_unreadable(other)
    await database.chain_copies("a" * 64)


async def test_a_row_that_was_mended_is_read_again(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int
) -> None:
    await drop_checks(sql)
    await sql.execute("UPDATE objective SET payload_type = 'secret'")
    async with asyncio.timeout(HANGING):
        while not (await database.overview([])).unreadable:
            await asyncio.sleep(0.01)
        await sql.execute("UPDATE objective SET payload_type = 'public'")
        while (await database.overview([])).unreadable:
            await asyncio.sleep(0.01)


async def test_a_number_that_no_program_reads_is_an_error_of_the_database(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path
) -> None:
    """JSON has numbers of any length, Python refuses those of more than 4300 digits."""
    publication, _ = await publish(database, election, tmp_path)
    number = "9" * 5000
    await sql.execute(f"UPDATE vote_plan SET tally_snapshot = '{number}'::jsonb, tally_snapshot_hash = ''")
    with pytest.raises(PermanentError) as caught:
        await database.save_tally_snapshot(publication.hash, {plan.id: {} for plan in publication.plans})
    assert caught.value.reason == "DatabaseError"


async def test_an_upgrade_keeps_rows_that_the_new_checks_refuse(postgres_server: EmbeddedPostgres) -> None:
    """It says so, goes on, and refuses the next one."""
    url = await postgres_server.create_database("with_absurd_rows")
    await upgrade(url, "0003")
    sql = await asyncpg.connect(url.replace("+asyncpg", ""))
    election = await add_election(sql)
    await sql.execute("UPDATE election SET tallying_end = '20270-01-01'")
    assert (await upgrade(url)).broken == ("election.tallying_end_can_be",)
    assert not await sql.fetchval("SELECT convalidated FROM pg_constraint WHERE conname = 'tallying_end_can_be'")
    assert await sql.fetchval("SELECT convalidated FROM pg_constraint WHERE conname = 'voting_end_can_be'")
    with pytest.raises(asyncpg.CheckViolationError, match="tallying_end_can_be"):
        await add_election(sql, "Another", tallying_end=datetime(9000, 1, 1, tzinfo=UTC))
    database = PostgresDatabase(url)
    (fault,) = (await database.overview([])).unreadable
    assert fault.id == election
    await sql.execute("UPDATE election SET tallying_end = voting_end + interval '1 day'")
    await sql.execute("ALTER TABLE election VALIDATE CONSTRAINT tallying_end_can_be")
    assert (await database.overview([])).unreadable == ()
    assert (await upgrade(url)).broken == ()
    await database.close()
    await sql.close()
    await postgres_server.drop_database("with_absurd_rows")


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_time_of_postgres_is_read_as_itself_or_as_text(microseconds: int) -> None:
    read = times._decoded((microseconds,))
    if isinstance(read, datetime):
        assert FIRST_TIME <= read < END_OF_TIME
        assert times._encoded(read) == (microseconds,)
    else:
        assert read
