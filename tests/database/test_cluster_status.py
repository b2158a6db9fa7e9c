"""What people see of the whole cluster: what services told, and who has not told anything for long."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from node_fsm.core.cluster_status import ClusterStatus, NodeKind, Stage, Standing
from node_fsm.core.conditions import Condition, ConditionType
from node_fsm.core.model import ArchiveKind, PlanResult, StoredArchive
from node_fsm.core.phases import Role
from node_fsm.core.view import Deadline
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.database.cluster_status import cluster_status
from node_fsm.database.session import Session
from tests.database.test_reports import ENTRY, REPORT
from tests.database.test_unreadable import drop_checks
from tests.database.world import START, add_election, key, publish, results_of
from tests.support.fakes import FACT
from tests.support.roles import DatabaseRole

LEADER_ID = "ed25519_pk1one"
SUMS = json.dumps({"committee_member_keys": ["pk0", "pk1"]})
DOUBT = Condition(
    ConditionType.OVERLAP,
    "EarlierElectionRuns",
    "Fund 2 was due; see postgresql://fsm:hunter2@db/elections\0",
    START,
)


@pytest.fixture
def now() -> datetime:
    """When a test begins: who was heard of minutes ago is silent."""
    return datetime.now(UTC)


async def status_of(database: PostgresDatabase) -> ClusterStatus:
    return await cluster_status(database.session)


async def test_a_node_is_shown_with_all_that_it_told(
    database: PostgresDatabase, sql: asyncpg.Connection, now: datetime
) -> None:
    election = await add_election(sql)
    await sql.execute("INSERT INTO jorm_nodes VALUES ('leader0', $1, '/dns4/leader0/tcp/1')", LEADER_ID)
    deadline = Deadline("voting_end", START)
    told = replace(REPORT, election_id=election, updated_at=now, role=Role.LEADER0, votes=17, deadline=deadline)
    await database.report_status(replace(told, conditions=(DOUBT.type, "sandbox"), details=(DOUBT,)))
    status = await status_of(database)
    (node,) = status.nodes
    assert (node.hostname, node.is_listed, node.kind, node.standing) == (
        *("leader0", True, NodeKind.LEADER0),
        Standing.HEARD,
    )
    assert (node.phase, node.since, node.election, node.height, node.tip_date, node.peers, node.votes) == (
        *("Running", START, "Fund 1", 12, "1.2", 3),
        17,
    )
    assert node.next_deadline == deadline
    assert status.leader0 == node
    overlap, sandbox = node.conditions
    assert (overlap.type, overlap.reason, overlap.since) == ("overlap", "EarlierElectionRuns", START)
    assert overlap.message == "Fund 2 was due; see postgresql://fsm:***@db/elections\N{REPLACEMENT CHARACTER}"
    assert (sandbox.type, sandbox.reason, sandbox.message) == ("sandbox", None, None)
    assert [problem[:25] for problem in status.problems()] == ["leader0: overlap: Fund 2 ", "leader0: sandbox"]


async def test_who_is_silent_stopped_misnamed_or_was_never_heard_is_marked(
    database: PostgresDatabase, sql: asyncpg.Connection, now: datetime
) -> None:
    for hostname in ("gone", "quiet", "back", "new"):
        await sql.execute("INSERT INTO jorm_nodes VALUES ($1)", hostname)
    await database.report_status(replace(REPORT, hostname="gone", updated_at=now, stopped=True))
    await database.report_status(replace(REPORT, hostname="quiet", updated_at=now - timedelta(minutes=4)))
    await database.report_status(replace(REPORT, hostname="back", updated_at=now, stopped=True))
    await database.report_status(replace(REPORT, hostname="back", updated_at=now + timedelta(seconds=5)))
    await database.report_status(replace(REPORT, hostname="gnoe", updated_at=now))
    # As a service of an older version writes it, which does not know that it can say that it stops.
    await database.report_status(replace(REPORT, hostname="old", updated_at=now, stopped=True))
    await sql.execute("UPDATE node_status SET updated_at = $1 WHERE hostname = 'old'", now + timedelta(seconds=5))
    status = await status_of(database)
    assert {node.hostname: (node.standing, node.is_listed) for node in status.nodes} == {
        "gone": (Standing.STOPPED, True),
        "quiet": (Standing.SILENT, True),
        "back": (Standing.HEARD, True),
        "new": (Standing.NEVER_HEARD, True),
        "gnoe": (Standing.HEARD, False),
        "old": (Standing.HEARD, False),
    }
    said = list(status.problems())
    assert any("`node-fsm node remove gnoe`" in problem for problem in said)
    assert any("nothing was ever heard of new" in problem for problem in said)
    assert any(problem.startswith("quiet was last heard of at") for problem in said)


async def test_each_stage_of_an_election_is_told_from_what_stands(
    database: PostgresDatabase, sql: asyncpg.Connection, tmp_path: Path, now: datetime
) -> None:
    async def stages() -> dict[str, Stage]:
        return {election.name: election.stage for election in (await status_of(database)).elections}

    first = await add_election(sql)
    await add_election(sql, "Fund 0", start=START - timedelta(days=30))
    await add_election(sql, "Fund 2", cancelled_at=now)
    assert await stages() == {"Fund 0": Stage.MISSED, "Fund 1": Stage.TO_COME, "Fund 2": Stage.CANCELLED}
    publication, _ = await publish(database, first, tmp_path)
    assert (await stages())["Fund 1"] is Stage.PUBLISHED
    for hours, stage in ((2, Stage.VOTING), (26, Stage.TALLYING)):
        begun = publication.dates.clock.start.replace(microsecond=0) - timedelta(hours=24 + hours)
        await sql.execute("UPDATE vote_plan SET block0_date = $1", begun)
        assert (await stages())["Fund 1"] is stage
    await database.post_results(first, publication.hash, results_of(publication), FACT)
    assert (await stages())["Fund 1"] is Stage.COUNTED
    await database.save_archive(an_archive(first, publication.hash), FACT)
    assert (await stages())["Fund 1"] is Stage.ARCHIVED


async def test_results_archives_and_dates_are_shown_in_words(
    database: PostgresDatabase, sql: asyncpg.Connection, tmp_path: Path
) -> None:
    election = await add_election(sql)
    publication, _ = await publish(database, election, tmp_path)
    results = [PlanResult(plan.id, tuple((1, 2, 3) for _ in plan.proposals), None, False) for plan in publication.plans]
    await database.post_results(election, publication.hash, results, FACT, disputed="nobody came")
    await database.save_archive(an_archive(election, publication.hash), FACT)
    (shown,) = (await status_of(database)).elections
    assert (shown.plans, shown.private_plans, shown.disputed) == (2, 0, "nobody came")
    assert [deadline.at for deadline in shown.deadlines] == [
        START,
        START + timedelta(days=1),
        START + timedelta(days=2),
    ]
    direct, _, rep = shown.results
    assert (direct.objective, direct.title, direct.options, direct.votes) == (
        *("direct", "Proposal 0", ("yes", "no", "abstain")),
        (1, 2, 3),
    )
    assert (rep.voting_group, rep.index) == ("rep", 0)
    (archive,) = shown.archives
    assert (archive.kind, archive.uri, archive.bytes) == (ArchiveKind.FINAL, "s3://archive/1", 9)


async def test_who_has_posted_shares_is_counted_by_plan(
    database: PostgresDatabase, sql: asyncpg.Connection, tmp_path: Path
) -> None:
    election = await add_election(sql)
    await sql.execute("INSERT INTO committee VALUES ($1, $2, 1, 'pk1')", election, key(98))
    await sql.execute("UPDATE committee SET member_public_key = 'pk0' WHERE member_index = 0")
    publication, _ = await publish(database, election, tmp_path)
    private = "UPDATE vote_plan SET payload_type = 'private', tally_snapshot = $1, tally_snapshot_hash = 'old'"
    await sql.execute(private, SUMS)
    await post_share(sql, 0, "pk1", "old")
    await sql.execute("UPDATE vote_plan SET tally_snapshot_hash = 'h'")
    await post_share(sql, 0, "pk0", "h")
    await post_share(sql, 1, "pk0", "h")
    await sql.execute("UPDATE vote_plan SET decrypted = '[]' WHERE index = 0")
    (shown,) = (await status_of(database)).elections
    assert (shown.private_plans, shown.decrypted) == (2, 1)
    assert [(member.index, member.plans) for member in shown.committee] == [(0, 2), (1, 0)]
    assert publication.hash == shown.block0_hash


async def test_rows_written_by_hand_hide_nothing(
    database: PostgresDatabase, sql: asyncpg.Connection, now: datetime
) -> None:
    await add_election(sql)
    broken = await add_election(sql, "Broken")
    await drop_checks(sql)
    await sql.execute("UPDATE election SET tallying_end = 'infinity' WHERE id = $1", broken)
    await database.report_status(replace(REPORT, updated_at=now, conditions=("overlap",)))
    odd = json.dumps([7, {"type": "overlap", "message": "m", "since": "yesterday"}, {"type": ["overlap"]}])
    await sql.execute(
        "UPDATE node_status SET condition_details = $1, since = 'infinity', deadline = 'x', deadline_at = '-infinity'",
        odd,
    )
    await database.journal([ENTRY])
    await sql.execute("UPDATE phase_journal SET at = '-infinity'")
    await database.journal([replace(ENTRY, reason="seen")])
    status = await status_of(database)
    assert {election.name: election.fault is None for election in status.elections} == {"Fund 1": True, "Broken": False}
    (condition,) = status.nodes[0].conditions
    assert (condition.message, condition.since) == ("m", None)
    assert (status.nodes[0].since, status.nodes[0].next_deadline) == (None, None)
    assert [entry.reason for entry in status.journal] == ["seen"]


@pytest.mark.parametrize("role", [DatabaseRole.NODE, DatabaseRole.OPERATOR])
async def test_nodes_and_operators_may_see_it(
    database: PostgresDatabase, sql: asyncpg.Connection, database_url: str, role: DatabaseRole
) -> None:
    await add_election(sql)
    session = Session(role.url(database_url))
    try:
        assert [election.name for election in (await cluster_status(session)).elections] == ["Fund 1"]
    finally:
        await session.close()


async def test_a_standby_shows_it_too(database: PostgresDatabase, sql: asyncpg.Connection, database_url: str) -> None:
    await add_election(sql)
    await database.acquire_lease("leader0", "storage", 600)
    name = await sql.fetchval("SELECT current_database()")
    await sql.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    standby = PostgresDatabase(database_url)
    try:
        status = await status_of(standby)
    finally:
        await standby.close()
    assert status.lease is not None
    assert (status.lease.hostname, status.lease.stopped, status.lease.unconfirmed) == ("leader0", False, None)


async def post_share(sql: asyncpg.Connection, plan: int, member: str, snapshot: str) -> None:
    await sql.execute(
        "INSERT INTO decryption_share (vote_plan, snapshot_hash, committee_member, sha256, share)"
        " SELECT id, $3, $2, encode(sha256('[]'), 'hex'), '[]' FROM vote_plan WHERE index = $1",
        *(plan, member, snapshot),
    )


def an_archive(election: int, chain: str) -> StoredArchive:
    return StoredArchive(
        *(election, "Fund 1", chain, "run", ArchiveKind.FINAL, "tip", "s3://archive/1", "sha", 9, "{}", START)
    )
