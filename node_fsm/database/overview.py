"""The one reading that every scan makes: a few hundred bytes for each election, whatever its size.

A row that cannot be read concerns its own election alone: it is left out and named, and all others are read.
"""

import re
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from node_fsm.core.chain_time import END_OF_TIME, BlockDate, ChainClock, ChainDates
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import (
    Block0Ref,
    DisputedTally,
    ElectionOverview,
    LostVotes,
    NodeRow,
    Overview,
    UnreadableElection,
)
from node_fsm.database import tables
from node_fsm.database.session import Session
from node_fsm.database.specifications import Specifications
from node_fsm.database.times import RowUnreadableError, readable

_HASH = re.compile(r"[0-9a-f]{64}")

SELECT_ELECTIONS = """
    SELECT election.id, election.name, election.voting_start, election.voting_end, election.tallying_end,
        election_revision.revision, election.cancelled_at IS NOT NULL AS cancelled,
        election.voting_end <= now() AS voting_ended,
        election.block0_hash, election.block0_size, election.block0_fingerprint, election.block0_generation,
        plan.id AS plan, plan.block0_date, plan.slot_duration, plan.slots_per_epoch,
        plan.vote_start, plan.vote_end, plan.committee_end,
        EXISTS (SELECT FROM tally WHERE tally.block0_hash = election.block0_hash) AS results_posted
    FROM election
    LEFT JOIN election_revision ON election_revision.election = election.id
    LEFT JOIN vote_plan plan
        ON plan.election = election.id AND plan.block0_hash = election.block0_hash AND plan.index = 0
"""
"""What :func:`read_election` reads, of all elections."""

_NOT_OVER = """
    WHERE CASE WHEN election.block0_hash IS NULL
        THEN election.voting_end > now() OR election.cancelled_at IS NULL
        ELSE NOT EXISTS (SELECT FROM archive WHERE archive.block0_hash = election.block0_hash AND kind = 'final') END
    ORDER BY election.voting_start, election.id
"""
_ELECTIONS = text(SELECT_ELECTIONS + _NOT_OVER)
_CHAINS = text("""
    SELECT hash, EXISTS (SELECT FROM archive WHERE block0_hash = hash AND kind IN ('final', 'superseded')) AS archived,
        EXISTS (SELECT FROM vote_plan WHERE block0_hash = hash AND withdrawn_at IS NOT NULL) AS withdrawn
    FROM unnest(CAST(:hashes AS text[])) AS hash
""")
_DISPUTED = text("""
    SELECT DISTINCT election_name, block0_hash, disputed FROM tally
    WHERE disputed IS NOT NULL
        AND NOT EXISTS (SELECT FROM tally_confirmation WHERE tally_confirmation.block0_hash = tally.block0_hash)
    ORDER BY election_name, block0_hash
""")
_LOST = text("""
    SELECT election_name, block0_hash, count(*), sum(weight)::bigint FROM (
        SELECT DISTINCT ON (block0_hash, fragment_id) election_name, block0_hash, weight FROM uncounted_vote
        WHERE acknowledged_at IS NULL
    ) AS vote
    GROUP BY election_name, block0_hash ORDER BY election_name, block0_hash
""")
_TIME = text("SELECT clock_timestamp()")


class Overviews:
    """Of the Database port: the overview, with fingerprints where *specifications* are given."""

    def __init__(self, session: Session, specifications: Specifications | None) -> None:
        self._session = session
        self._specifications = specifications

    async def overview(self, hashes: Collection[str]) -> Overview:
        """One narrow reading; *hashes* are the block 0 hashes to report as archived or withdrawn."""
        async with self._session.transaction("overview", snapshot=True) as connection:
            rows = (await connection.execute(_ELECTIONS)).all()
            nodes = await _nodes(connection)
            chains = (await connection.execute(_CHAINS, {"hashes": list(hashes)})).all()
            disputed = (await connection.execute(_DISPUTED)).all()
            lost = (await connection.execute(_LOST)).all()
            time = await connection.scalar(_TIME)
        elections, missed, unreadable = [], [], []
        for row in rows:
            try:
                election = read_election(row)
                if row.voting_ended and row.block0_hash is None and not row.cancelled:
                    missed.append(election)
                else:
                    elections.append(self._with_fingerprint(election))
            except PermanentError as error:
                unreadable.append(UnreadableElection(row.id, row.name, error.message))
        if self._specifications:
            self._specifications.forget_all_but({row.id for row in rows})
        return Overview(
            elections=tuple(elections),
            missed=tuple(missed),
            nodes=nodes,
            archived=frozenset(chain.hash for chain in chains if chain.archived),
            withdrawn=frozenset(chain.hash for chain in chains if chain.withdrawn),
            database_time=time,
            unreadable=tuple(unreadable),
            disputed=tuple(DisputedTally(*row) for row in disputed),
            lost=tuple(LostVotes(*row) for row in lost),
        )

    def _with_fingerprint(self, election: ElectionOverview) -> ElectionOverview:
        if self._specifications is None:
            return election
        specified = self._specifications.known(election.id, election.revision)
        if isinstance(specified, PermanentError):
            raise specified
        return replace(election, fingerprint=specified.spec.fingerprint) if specified else election


async def _nodes(connection: AsyncConnection) -> tuple[NodeRow, ...]:
    nodes = tables.jorm_nodes.c
    query = select(nodes.hostname, nodes.leader_id, nodes.p2p_address).order_by(nodes.hostname)
    return tuple(NodeRow(*row) for row in await connection.execute(query))


def read_election(row: Any) -> ElectionOverview:
    """The election of a *row* of the overview, without its fingerprint; RowUnreadableError names a column."""
    of = f"of election {row.id} ({row.name})"
    if row.revision is None:
        raise RowUnreadableError("election_revision", f"has no row {of}")
    return ElectionOverview(
        id=row.id,
        name=row.name,
        voting_start=readable(row.voting_start, f"election.voting_start {of}"),
        voting_end=readable(row.voting_end, f"election.voting_end {of}"),
        tallying_end=readable(row.tallying_end, f"election.tallying_end {of}"),
        revision=row.revision,
        fingerprint=None,
        cancelled=row.cancelled,
        block0=_block0(row, of) if row.block0_hash is not None else None,
        results_posted=row.results_posted,
        archived=False,
    )


def _block0(row: Any, of: str) -> Block0Ref:
    if not _HASH.fullmatch(row.block0_hash):
        raise RowUnreadableError(f"election.extras.block0 {of}", f"has the hash {row.block0_hash!r}")
    if row.block0_size < 1:
        raise RowUnreadableError(f"election.extras.block0 {of}", f"has the size {row.block0_size}")
    if row.plan is None:
        raise RowUnreadableError(f"election.extras.block0 {of}", f"has the hash {row.block0_hash} without a vote_plan")
    return Block0Ref(
        hash=row.block0_hash,
        size=row.block0_size,
        fingerprint=row.block0_fingerprint,
        generation=row.block0_generation,
        dates=_dates(row, of),
    )


def _dates(row: Any, of: str) -> ChainDates:
    where = f"of vote_plan {row.plan} {of}"
    start = readable(row.block0_date, f"vote_plan.block0_date {where}")
    for column in ("slot_duration", "slots_per_epoch"):
        if row._mapping[column] < 1:
            raise RowUnreadableError(f"vote_plan.{column} {where}", f"is {row._mapping[column]}")
    clock = ChainClock(start, row.slot_duration, row.slots_per_epoch)
    columns = ("vote_start", "vote_end", "committee_end")
    return ChainDates(clock, *(_date(row._mapping[column], clock, f"vote_plan.{column} {where}") for column in columns))


def _date(text_: str, clock: ChainClock, where: str) -> BlockDate:
    """A date that also has a time, with room for the deadlines that are counted from it."""
    try:
        date = BlockDate.parse(text_)
        time: datetime = clock.time_at(date)
    except (ValueError, OverflowError):
        raise RowUnreadableError(where, f"is {text_[:40]!r}, which is no date of its chain") from None
    if time >= END_OF_TIME:
        raise RowUnreadableError(where, f"is {text_[:40]!r}, in the year {time.year}")
    return date
