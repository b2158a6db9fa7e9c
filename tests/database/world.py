"""Rows for tests: an election as an operator would have written it, and what leader 0 publishes of it."""

import asyncio
import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from node_fsm.core.chain_time import ChainClock, ChainDates
from node_fsm.core.cluster import Lease
from node_fsm.core.model import ElectionSpec, PlanResult, Publication, VotePlan
from node_fsm.ports import Database
from tests.support.fakes import FACT
from tests.support.polling import HANGING

START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
GROUPS = ("direct", "rep")
OPTIONS = ("yes", "no", "abstain")


def key(number: int) -> str:
    """A voting key or committee id."""
    return f"{number:064x}"


async def add_election(
    sql: asyncpg.Connection, name: str = "Fund 1", *, start: datetime = START, **columns: Any
) -> int:
    """An election with two groups, a committee member, three proposals and four voters; its id."""
    values = {
        "name": name,
        "voting_start": start,
        "voting_end": start + timedelta(hours=24),
        "tallying_end": start + timedelta(hours=48),
        "committee_threshold": 1,
        **columns,
    }
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    election: int = await sql.fetchval(
        f"INSERT INTO election ({', '.join(values)}) VALUES ({places}) RETURNING id",
        *values.values(),
    )
    await sql.execute("INSERT INTO committee VALUES ($1, $2, 0, NULL)", election, key(99))
    for group in GROUPS:
        objective = await sql.fetchval(
            "INSERT INTO objective (election, title, payload_type, voting_group)"
            " VALUES ($1, $2, 'public', $2) RETURNING id",
            election,
            group,
        )
        for number in range(2 if group == "direct" else 1):
            await sql.execute(
                "INSERT INTO proposal (objective, external_id, title, options) VALUES ($1, $2, $3, $4)",
                objective,
                bytes([number]) * 32,
                f"Proposal {number}",
                list(OPTIONS),
            )
    voters = [(1, "direct", 500), (2, "direct", 30), (3, "direct", 4), (1, "rep", 7)]
    await sql.executemany(
        "INSERT INTO voter VALUES ($1, $2, $3, $4, $5)",
        [(election, key(number), group, power, f"ca1address{number}") for number, group, power in voters],
    )
    return election


def plans_of(spec: ElectionSpec, chain: str) -> tuple[VotePlan, ...]:
    """One plan for each objective."""
    return tuple(
        VotePlan(
            index=index,
            id=f"{chain}{index:032x}",
            payload_type=objective.payload_type,
            voting_group=objective.voting_group,
            token=f"{'0' * 56}.{index:02x}",
            encryption_key=None,
            proposals=objective.proposals,
        )
        for index, objective in enumerate(spec.objectives)
    )


async def a_lease(database: Database, hostname: str = "leader0", seconds: float = 600) -> Lease:
    """The lease, which must be free."""
    lease = await database.acquire_lease(hostname, "storage", seconds)
    assert lease is not None
    return lease


async def prepare(
    database: Database, election: int, directory: Path, *, chain: str = "a", size: int = 5000
) -> tuple[Publication, Path]:
    """A publication of the election as it stands, under the lease, and the file of its block 0."""
    spec = await database.specification(election)
    lease = await a_lease(database)
    clock = ChainClock(spec.voting_start - timedelta(hours=1), 4, 900)
    dates = ChainDates(
        clock, *(clock.date_at(time) for time in (spec.voting_start, spec.voting_end, spec.tallying_end))
    )
    file = directory / f"block0-{chain}-{size}"
    file.write_bytes(os.urandom(size))
    publication = Publication(
        election_id=election,
        revision=spec.revision,
        generation=lease.generation,
        published_by="leader0",
        hash=chain * 64,
        size=size,
        fingerprint=spec.fingerprint,
        dates=dates,
        plans=plans_of(spec, chain * 32),
    )
    return publication, file


async def publish(database: Database, election: int, directory: Path, *, chain: str = "a") -> tuple[Publication, Path]:
    """Publish a block 0 of the election; what was published."""
    publication, file = await prepare(database, election, directory, chain=chain)
    await database.publish_block0(publication, file, FACT)
    return publication, file


async def add_share(
    sql: asyncpg.Connection,
    text: str,
    *,
    member: str = "member0",
    sha256: str | None = None,
    snapshot_hash: str | None = None,
) -> None:
    """A row of a share for every plan, as somebody may write it who has no more rights than a member."""
    await sql.execute(
        "INSERT INTO decryption_share (vote_plan, snapshot_hash, committee_member, sha256, share)"
        " SELECT id, coalesce($1, tally_snapshot_hash, ''), $2, $3, $4 FROM vote_plan",
        *(snapshot_hash, member, sha256 or hashlib.sha256(text.encode()).hexdigest(), text),
    )


def results_of(publication: Publication, *, votes: int = 7) -> list[PlanResult]:
    """As many votes for every option of every proposal."""
    return [
        PlanResult(plan.id, tuple((votes,) * len(proposal.options) for proposal in plan.proposals), "f" * 64, True)
        for plan in publication.plans
    ]


async def until_somebody_waits_for_a_lock(sql: asyncpg.Connection) -> None:
    """Return once a transaction of any database of the server is held up by another."""
    async with asyncio.timeout(HANGING):
        while not await sql.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
            await asyncio.sleep(0.01)
