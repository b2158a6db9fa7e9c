"""Which writes count as edits of what was specified, and which are told to whoever listens."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from node_fsm.core.model import ArchiveKind, StoredArchive
from node_fsm.database.adapter import PostgresDatabase
from tests.database.world import START, add_election, add_share, key, publish, results_of
from tests.support.fakes import FACT
from tests.support.polling import HANGING

Notifications = asyncio.Queue[dict[str, object]]

EDITS = [
    "UPDATE election SET name = 'Other'",
    "UPDATE election SET description = 'Other'",
    "UPDATE election SET voting_start = voting_start - interval '1 hour'",
    "UPDATE election SET voting_end = voting_end - interval '1 hour'",
    "UPDATE election SET tallying_end = tallying_end + interval '1 hour'",
    "UPDATE election SET committee_threshold = 2",
    "UPDATE election SET voting_power_unit = 2",
    "UPDATE election SET cancelled_at = now()",
    "UPDATE objective SET title = 'Other'",
    "UPDATE objective SET payload_type = 'private'",
    "UPDATE objective SET voting_group = 'other'",
    "UPDATE proposal SET title = 'Other'",
    "UPDATE proposal SET external_id = NULL",
    "UPDATE proposal SET options = ARRAY['yes']",
    "UPDATE proposal SET deleted = true",
    "UPDATE committee SET member_index = 5",
    "UPDATE committee SET member_public_key = 'other'",
    "UPDATE committee SET id = lpad('5', 64, '0')",
    "UPDATE voter SET voting_power = voting_power + 1",
    "UPDATE voter SET voting_group = 'other' WHERE voting_group = 'direct'",
    "UPDATE voter SET address = 'other'",
    "DELETE FROM voter",
    "DELETE FROM proposal",
    "DELETE FROM objective",
    "DELETE FROM committee",
    "TRUNCATE voter",
    "TRUNCATE proposal",
    "TRUNCATE objective CASCADE",
    "TRUNCATE committee",
    "INSERT INTO committee SELECT id, lpad('6', 64, '0'), 6, NULL FROM election",
    "INSERT INTO objective (election, title, payload_type, voting_group) SELECT id, 't', 'public', 'g' FROM election",
    "INSERT INTO proposal (objective, title, options) SELECT id, 't', ARRAY['a'] FROM objective",
    "INSERT INTO voter SELECT id, lpad('7', 64, '0'), 'direct', 1, 'ca1' FROM election",
]


async def revision(sql: asyncpg.Connection, election: int) -> int:
    value: int = await sql.fetchval("SELECT revision FROM election_revision WHERE election = $1", election)
    return value


@pytest_asyncio.fixture
async def notifications(database_url: str) -> AsyncIterator[Notifications]:
    """What is notified, from now on."""
    queue: Notifications = asyncio.Queue()
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    await connection.add_listener("node_fsm", lambda *arguments: queue.put_nowait(json.loads(arguments[3])))
    yield queue
    await connection.close()


async def next_of(notifications: Notifications) -> dict[str, object]:
    async with asyncio.timeout(HANGING):
        return await notifications.get()


async def all_until_node_change(sql: asyncpg.Connection, notifications: Notifications) -> list[dict[str, object]]:
    """What has been notified so far: all before the notification of a change made now."""
    await sql.execute("INSERT INTO jorm_nodes VALUES ('the-end')")
    found = []
    while (notification := await next_of(notifications)) != {"table": "jorm_nodes", "election": None}:
        found.append(notification)
    return found


@pytest.mark.parametrize("edit", EDITS)
async def test_an_edit_is_a_new_revision_and_is_notified_once(
    sql: asyncpg.Connection, election: int, notifications: Notifications, edit: str
) -> None:
    before = await revision(sql, election)
    await all_until_node_change(sql, notifications)
    await sql.execute("DELETE FROM jorm_nodes")
    await next_of(notifications)
    await sql.execute(edit)
    assert await revision(sql, election) == before + 1
    found = await all_until_node_change(sql, notifications)
    assert found
    assert all(notification["election"] == election for notification in found)
    assert len(found) <= 2  # TRUNCATE CASCADE and deletions empty a second table


async def test_many_rows_are_one_revision_and_one_notification(
    sql: asyncpg.Connection, election: int, notifications: Notifications
) -> None:
    before = await revision(sql, election)
    await all_until_node_change(sql, notifications)
    await sql.execute("DELETE FROM jorm_nodes")
    await next_of(notifications)
    await sql.copy_records_to_table(
        "voter", records=[(election, key(number), "direct", 1, "ca1") for number in range(1000, 6000)]
    )
    assert await revision(sql, election) == before + 1
    assert await all_until_node_change(sql, notifications) == [{"table": "voter", "election": election}]


async def test_statements_of_one_transaction_are_one_revision(sql: asyncpg.Connection, election: int) -> None:
    before = await revision(sql, election)
    async with sql.transaction():
        for number in range(3):
            await sql.execute("INSERT INTO voter VALUES ($1, $2, 'direct', 1, 'ca1')", election, key(1000 + number))
    assert await revision(sql, election) == before + 1
    await sql.execute("DELETE FROM voter")
    assert await revision(sql, election) == before + 2


async def test_an_edit_after_one_that_was_rolled_back_counts(sql: asyncpg.Connection, election: int) -> None:
    before = await revision(sql, election)
    async with sql.transaction():
        savepoint = sql.transaction()
        await savepoint.start()
        await sql.execute("DELETE FROM voter")
        await savepoint.rollback()
        await sql.execute("DELETE FROM committee")
    assert await revision(sql, election) == before + 1


async def test_rows_that_move_are_an_edit_of_both_elections(sql: asyncpg.Connection, election: int) -> None:
    other = await add_election(sql, "Fund 2")
    before = [await revision(sql, election), await revision(sql, other)]
    await sql.execute("UPDATE objective SET election = $1 WHERE election = $2 AND title = 'rep'", other, election)
    assert [await revision(sql, election), await revision(sql, other)] == [number + 1 for number in before]


async def test_what_the_service_writes_is_no_edit(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path
) -> None:
    before = await revision(sql, election)
    publication, _ = await publish(database, election, tmp_path)
    await database.announce("leader0", "/ip4/127.0.0.1/tcp/3000")
    await database.save_tally_snapshot(publication.hash, {plan.id: {"tally": 1} for plan in publication.plans})
    await database.withdraw_block0(election, publication.hash, publication.generation, FACT)
    await database.post_results(election, publication.hash, results_of(publication), FACT)
    await sql.execute("UPDATE election SET extras = extras || '{\"note\": 1}'")
    assert await revision(sql, election) == before


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("UPDATE jorm_nodes SET p2p_address = '/ip4/10.0.0.1/tcp/1'", "jorm_nodes"),
        ("UPDATE jorm_nodes SET leader_id = 'ed25519_pk1other'", "jorm_nodes"),
        ("DELETE FROM jorm_nodes", "jorm_nodes"),
        ("UPDATE election SET extras = '{}'", "election"),
        ("DELETE FROM vote_plan", "vote_plan"),
        ("UPDATE vote_plan SET withdrawn_at = now()", "vote_plan"),
    ],
)
async def test_other_changes_are_notified(
    database: PostgresDatabase,
    sql: asyncpg.Connection,
    election: int,
    tmp_path: Path,
    notifications: Notifications,
    statement: str,
    table: str,
) -> None:
    await publish(database, election, tmp_path)
    await all_until_node_change(sql, notifications)
    await sql.execute(statement)
    assert await next_of(notifications) == {"table": table, "election": None if table == "jorm_nodes" else election}


async def test_a_share_is_notified(
    database: PostgresDatabase,
    sql: asyncpg.Connection,
    election: int,
    tmp_path: Path,
    notifications: Notifications,
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    await database.save_tally_snapshot(
        publication.hash, {plan.id: {"committee_member_keys": ["member0"]} for plan in publication.plans}
    )
    await all_until_node_change(sql, notifications)
    await add_share(sql, "[]")
    assert await next_of(notifications) == {"table": "decryption_share", "election": election}


async def test_an_archive_is_notified(database: PostgresDatabase, election: int, notifications: Notifications) -> None:
    await database.save_archive(
        StoredArchive(election, "Fund 1", "a" * 64, "run", ArchiveKind.FINAL, "t", "s3://b/k", "5", 1, "{}", START),
        FACT,
    )
    found = [await next_of(notifications)]
    while not notifications.empty():
        found.append(notifications.get_nowait())
    assert {"table": "archive", "election": election} in found


async def test_an_address_that_stays_is_not_notified(
    database: PostgresDatabase, sql: asyncpg.Connection, notifications: Notifications
) -> None:
    await sql.execute("INSERT INTO jorm_nodes VALUES ('leader0', NULL, '/ip4/127.0.0.1/tcp/3000')")
    await next_of(notifications)
    await database.announce("leader0", "/ip4/127.0.0.1/tcp/3000")
    await database.announce("unknown", "/ip4/127.0.0.1/tcp/3000")
    await sql.execute("SELECT pg_notify('node_fsm', '{\"table\": \"end\"}')")
    assert await next_of(notifications) == {"table": "end"}


async def test_edits_count_in_a_session_without_a_search_path(sql: asyncpg.Connection, election: int) -> None:
    """As pg_restore writes rows: every trigger names what it needs by itself."""
    revision = "SELECT revision FROM public.election_revision WHERE election = $1"
    before = await sql.fetchval(revision, election)
    await sql.execute("SELECT set_config('search_path', '', false)")
    await sql.execute("UPDATE public.election SET description = 'restored'")
    await sql.execute("UPDATE public.proposal SET title = title || ' restored'")
    await sql.execute("DELETE FROM public.voter")
    await sql.execute("TRUNCATE public.voter")
    await sql.execute("INSERT INTO public.jorm_nodes (hostname) VALUES ('restored')")
    assert await sql.fetchval(revision, election) == before + 4
    await sql.execute("DELETE FROM public.election")
    assert await sql.fetchval(revision, election) is None
