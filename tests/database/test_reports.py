from dataclasses import replace
from datetime import timedelta

import asyncpg

from node_fsm.core.model import JournalEntry, StatusReport
from node_fsm.database import PostgresDatabase
from tests.database.world import START

ENTRY = JournalEntry("leader0", 7, "Fund 1", "Waiting", "election_due", "FetchingKey", START, "it is time")
REPORT = StatusReport(
    hostname="leader0",
    phase="Running",
    since=START,
    election_id=7,
    block0_hash="a" * 64,
    height=12,
    tip="t",
    tip_date="1.2",
    peers=3,
    conditions=("overlap", "sandbox"),
    version="1.0",
    updated_at=START,
)


async def test_an_entry_is_written_once_however_often_it_is_sent(
    database: PostgresDatabase, sql: asyncpg.Connection
) -> None:
    missed = replace(ENTRY, event="election_missed", election_id=None, election_name=None)
    await database.journal([])
    await database.journal([ENTRY, missed])
    await database.journal([missed, ENTRY, replace(ENTRY, at=START + timedelta(seconds=1))])
    await database.journal([replace(missed, election_id=8)])
    rows = await sql.fetch(
        'SELECT hostname, election, election_name, "from", event, "to", at, reason FROM phase_journal ORDER BY id'
    )
    assert tuple(rows[0]) == ("leader0", 7, "Fund 1", "Waiting", "election_due", "FetchingKey", START, "it is time")
    assert [(row["event"], row["election"]) for row in rows] == [
        ("election_due", 7),
        ("election_missed", None),
        ("election_due", 7),
        ("election_missed", 8),
    ]


async def test_each_node_has_one_status(database: PostgresDatabase, sql: asyncpg.Connection) -> None:
    await database.report_status(REPORT)
    waiting = replace(
        REPORT, phase="Waiting", election_id=None, block0_hash=None, height=None, tip=None, tip_date=None,
        peers=None, conditions=(),
    )  # fmt: skip
    await database.report_status(waiting)
    await database.report_status(replace(REPORT, hostname="leader1"))
    rows = await sql.fetch("SELECT * FROM node_status ORDER BY hostname")
    assert [(row["hostname"], row["phase"], row["height"], row["conditions"]) for row in rows] == [
        ("leader0", "Waiting", None, []),
        ("leader1", "Running", 12, ["overlap", "sandbox"]),
    ]


async def test_the_greatest_height_is_of_the_asked_for_chain(
    database: PostgresDatabase, sql: asyncpg.Connection
) -> None:
    await sql.executemany("INSERT INTO jorm_nodes VALUES ($1, 'ed25519_pk1' || $1, NULL)", [*"abcde"])
    assert await database.greatest_height("a" * 64) is None
    for hostname, height, chain in (("b", 5, "a"), ("c", 9, "a"), ("a", 9, "a"), ("d", 99, "b"), ("e", None, "a")):
        await database.report_status(replace(REPORT, hostname=hostname, height=height, block0_hash=chain * 64))
    assert await database.greatest_height("a" * 64) == ("a", 9)


async def test_a_follower_does_not_keep_the_leaders_from_having_a_seed(
    database: PostgresDatabase, sql: asyncpg.Connection
) -> None:
    await sql.execute("INSERT INTO jorm_nodes VALUES ('leader', 'ed25519_pk1x', NULL), ('follower', NULL, NULL)")
    for hostname, height in (("leader", 7), ("follower", 8)):
        await database.report_status(replace(REPORT, hostname=hostname, height=height, block0_hash="a" * 64))
    assert await database.greatest_height("a" * 64) == ("leader", 7)


async def test_a_node_announces_itself_only_if_it_has_a_row(
    database: PostgresDatabase, sql: asyncpg.Connection
) -> None:
    await sql.execute("INSERT INTO jorm_nodes VALUES ('leader0', 'ed25519_pk1x', NULL)")
    await database.announce("leader0", "/ip4/10.0.0.1/tcp/1")
    await database.announce("unknown", "/ip4/10.0.0.2/tcp/1")
    rows = await sql.fetch("SELECT * FROM jorm_nodes")
    assert [tuple(row) for row in rows] == [("leader0", "ed25519_pk1x", "/ip4/10.0.0.1/tcp/1")]
    await database.announce("leader0", None)
    assert await sql.fetchval("SELECT p2p_address FROM jorm_nodes") is None
