from dataclasses import replace
from datetime import timedelta

import asyncpg

from node_fsm.core.cluster import ChainCopy, ChainStatement, Neighbour, NodeReport
from node_fsm.core.decryption import DecryptionSpeed
from node_fsm.core.marks import Mark
from node_fsm.core.model import JournalEntry
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.database.election_import import reported_decryption_speed
from tests.database.world import START

ENTRY = JournalEntry("leader0", 7, "Fund 1", "Waiting", "election_due", "FetchingKey", START, "it is time")
SAID = ChainStatement((Mark(9, "t9"), Mark(8, "t8")), ("b",), "t7")
REPORT = NodeReport(
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
    holds_chain=True,
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


async def test_an_entry_with_what_postgres_cannot_keep_holds_up_no_other(
    database: PostgresDatabase, sql: asyncpg.Connection
) -> None:
    odd = replace(ENTRY, event="tally_window_closed", reason="jcli said \0 and \udcff")
    for _ in range(2):
        await database.journal([odd, ENTRY])
    rows = await sql.fetch("SELECT reason FROM phase_journal ORDER BY id")
    assert [row["reason"] for row in rows] == ["jcli said \N{REPLACEMENT CHARACTER} and ?", "it is time"]


async def test_each_node_has_one_status(database: PostgresDatabase, sql: asyncpg.Connection) -> None:
    await database.report_status(REPORT)
    waiting = replace(
        REPORT, phase="Waiting", election_id=None, block0_hash=None, height=None, tip=None, tip_date=None,
        peers=None, conditions=(), holds_chain=False,
    )  # fmt: skip
    await database.report_status(waiting)
    await database.report_status(replace(REPORT, hostname="leader1"))
    rows = await sql.fetch("SELECT * FROM node_status ORDER BY hostname")
    assert [(row["hostname"], row["phase"], row["height"], row["conditions"]) for row in rows] == [
        ("leader0", "Waiting", None, []),
        ("leader1", "Running", 12, ["overlap", "sandbox"]),
    ]


async def test_how_fast_a_node_decrypts_stands_until_it_tells_another_speed(
    database: PostgresDatabase, sql: asyncpg.Connection
) -> None:
    assert await reported_decryption_speed(database.session) is None
    speed = DecryptionSpeed("jcli 0.13.0", 2, 0.005, 2e-4, 5e-6, 5e-6)
    await database.report_status(REPORT)
    assert await reported_decryption_speed(database.session) is None
    await database.report_status(replace(REPORT, decryption_speed=speed))
    await database.report_status(replace(REPORT, phase="Waiting"))
    assert await reported_decryption_speed(database.session) == speed
    slower = replace(speed, cores=1)
    await database.report_status(
        replace(REPORT, hostname="new", decryption_speed=slower, updated_at=START + timedelta(1))
    )
    await database.report_status(replace(REPORT, hostname="b", updated_at=START + timedelta(2)))
    assert await reported_decryption_speed(database.session) == slower, "the last that was told"
    await sql.execute("""UPDATE node_status SET decryption_speed = '{"jcli": "by hand"}'""")
    assert await reported_decryption_speed(database.session) is None


async def test_what_nodes_hold_of_a_chain_outlives_their_restarts(
    database: PostgresDatabase, sql: asyncpg.Connection
) -> None:
    await sql.execute(
        "INSERT INTO jorm_nodes VALUES ('b', 'ed25519_pk1b', NULL), ('a', 'ed25519_pk1a', NULL), ('f', NULL, NULL)"
    )
    assert await database.chain_copies("a" * 64) == ()
    reported = (("b", 9, "a"), ("b", 5, "a"), ("a", 7, "a"), ("f", 8, "a"), ("gone", 8, "a"), ("a", 99, "b"))
    for hostname, height, chain in reported:
        await database.report_status(replace(REPORT, hostname=hostname, height=height, block0_hash=chain * 64))
    without: tuple[tuple[str | None, int | None], ...] = (("a" * 64, 1), ("a" * 64, None), (None, None))
    for block0_hash, known in without:
        report = replace(REPORT, hostname="a", height=known, block0_hash=block0_hash, holds_chain=False)
        await database.report_status(report)
    a = ChainCopy("a", 7, lost=False, is_leader=True)
    b = ChainCopy("b", 5, lost=False, is_leader=True)
    others = (ChainCopy("f", 8, lost=False, is_leader=False), ChainCopy("gone", 8, lost=False, is_leader=False))
    assert await database.chain_copies("a" * 64) == (a, b, *others)
    await database.save_chain_copy("a" * 64, "b", lost=True)
    assert await database.chain_copies("a" * 64) == (a, replace(b, lost=True), *others)
    await database.report_status(replace(REPORT, hostname="b", height=6, block0_hash="a" * 64, holds_chain=False))
    assert (await database.chain_copies("a" * 64))[1].lost, "a node that only waits for the chain has none"
    await database.save_chain_copy("a" * 64, "b", lost=False)
    assert await database.chain_copies("a" * 64) == (a, b, *others)
    await database.save_chain_copy("a" * 64, "b", lost=True)
    await database.report_status(replace(REPORT, hostname="b", height=6, block0_hash="a" * 64))
    assert (await database.chain_copies("a" * 64))[1] == replace(b, height=6)


async def test_neighbours_are_the_other_nodes_of_a_chain_that_have_a_tip(database: PostgresDatabase) -> None:
    for hostname, height, tip, chain in (
        ("b", 5, "t5", "a"),
        ("a", 9, "t9", "a"),
        ("own", 9, "t9", "a"),
        ("c", None, None, "a"),
        ("d", 9, "t9", "b"),
    ):
        report = replace(REPORT, hostname=hostname, height=height, tip=tip, block0_hash=chain * 64, holds_chain=False)
        await database.report_status(replace(report, statement=SAID if hostname == "a" else None))
    assert await database.neighbours("a" * 64, "own") == (
        Neighbour("a", 9, "t9", REPORT.conditions, SAID.marks, SAID.apart, SAID.last_counted, START),
        Neighbour("b", 5, "t5", REPORT.conditions, (), (), None, START),
    )


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
