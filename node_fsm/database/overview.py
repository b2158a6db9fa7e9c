"""The one reading that every scan makes: a few hundred bytes for each election, whatever its size."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from node_fsm.core.chain_time import BlockDate, ChainClock, ChainDates
from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.core.model import Block0Ref, ElectionOverview, NodeRow, Overview
from node_fsm.database import tables
from node_fsm.database.specification import Specifications

_ATTEMPTS = 3

_ELECTIONS = text("""
    SELECT election.id, election.name, election.voting_start, election.voting_end, election.tallying_end,
        election_revision.revision, election.cancelled_at IS NOT NULL AS cancelled,
        election.voting_end <= now() AS voting_ended, now() AS database_time,
        election.block0_hash, election.block0_size, election.block0_fingerprint, election.block0_generation,
        plan.block0_date, plan.slot_duration, plan.slots_per_epoch, plan.vote_start, plan.vote_end, plan.committee_end,
        EXISTS (SELECT FROM tally WHERE tally.block0_hash = election.block0_hash) AS results_posted
    FROM election
    JOIN election_revision ON election_revision.election = election.id
    LEFT JOIN vote_plan plan
        ON plan.election = election.id AND plan.block0_hash = election.block0_hash AND plan.index = 0
    WHERE CASE WHEN election.block0_hash IS NULL
        THEN election.voting_end > now() OR election.cancelled_at IS NULL
        ELSE NOT EXISTS (SELECT FROM archive WHERE archive.block0_hash = election.block0_hash AND kind = 'final') END
    ORDER BY election.voting_start, election.id
""")
_CHAINS = text("""
    SELECT hash, EXISTS (SELECT FROM archive WHERE block0_hash = hash AND kind <> 'salvage') AS archived,
        EXISTS (SELECT FROM vote_plan WHERE block0_hash = hash AND withdrawn_at IS NOT NULL) AS withdrawn
    FROM unnest(CAST(:hashes AS text[])) AS hash
""")
_TIME = text("SELECT clock_timestamp()")


class Overviews(Specifications):
    """``overview`` of the Database port."""

    async def overview(self, hashes: Collection[str]) -> Overview:
        """One narrow reading; *hashes* are the block 0 hashes to report as archived or withdrawn."""
        for _ in range(_ATTEMPTS):
            async with self.transaction("overview", snapshot=True) as connection:
                rows = (await connection.execute(_ELECTIONS)).all()
                nodes = await _nodes(connection)
                chains = (await connection.execute(_CHAINS, {"hashes": list(hashes)})).all()
                time = await connection.scalar(_TIME)
            fingerprints = await self._fingerprints(rows)
            if fingerprints is None:
                continue
            elections = [_election(row, fingerprints.get(row.id, "")) for row in rows]
            missed = {row.id for row in rows if _is_missed(row)}
            return Overview(
                elections=tuple(election for election in elections if election.id not in missed),
                missed=tuple(election for election in elections if election.id in missed),
                nodes=nodes,
                archived=frozenset(chain.hash for chain in chains if chain.archived),
                withdrawn=frozenset(chain.hash for chain in chains if chain.withdrawn),
                database_time=time,
            )
        raise TemporaryError("DatabaseBusy", "elections are being edited faster than they can be read")

    async def _fingerprints(self, rows: Sequence[Any]) -> dict[int, str] | None:
        """By election; None when one was edited since *rows* were read, so that they are to be read again."""
        fingerprints = {}
        for row in rows:
            if _is_missed(row):
                continue
            try:
                spec = (await self._specified(row.id, row.revision)).spec
            except PermanentError as error:
                if error.reason == "ElectionGone":
                    return None
                raise
            if spec.revision != row.revision:
                return None
            fingerprints[row.id] = spec.fingerprint
        self._forget_all_but(fingerprints)
        return fingerprints


def _is_missed(row: Any) -> bool:
    return bool(row.voting_ended and row.block0_hash is None and not row.cancelled)


async def _nodes(connection: AsyncConnection) -> tuple[NodeRow, ...]:
    nodes = tables.jorm_nodes.c
    query = select(nodes.hostname, nodes.leader_id, nodes.p2p_address).order_by(nodes.hostname)
    return tuple(NodeRow(*row) for row in await connection.execute(query))


def _election(row: Any, fingerprint: str) -> ElectionOverview:
    return ElectionOverview(
        id=row.id,
        name=row.name,
        voting_start=row.voting_start,
        voting_end=row.voting_end,
        tallying_end=row.tallying_end,
        revision=row.revision,
        fingerprint=fingerprint,
        cancelled=row.cancelled,
        block0=_block0(row),
        results_posted=row.results_posted,
        archived=False,
    )


def _block0(row: Any) -> Block0Ref | None:
    if row.block0_hash is None or row.vote_start is None:
        return None
    clock = ChainClock(row.block0_date, row.slot_duration, row.slots_per_epoch)
    dates = (BlockDate.parse(date) for date in (row.vote_start, row.vote_end, row.committee_end))
    return Block0Ref(
        hash=row.block0_hash,
        size=row.block0_size,
        fingerprint=row.block0_fingerprint,
        generation=row.block0_generation,
        dates=ChainDates(clock, *dates),
    )
