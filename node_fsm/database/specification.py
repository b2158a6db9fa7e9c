"""Reading what was specified for an election, and its voters, whose number has no bound."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from node_fsm.core.errors import PermanentError
from node_fsm.core.model import CommitteeMember, ElectionSpec, Objective, Proposal, VotingGroup
from node_fsm.core.payload_type import PayloadType
from node_fsm.database import tables
from node_fsm.database.canonical import (
    Electorate,
    canonical_form,
    differences,
    fingerprint,
)
from node_fsm.database.external_id import derived_external_id
from node_fsm.database.session import BULK_SECONDS, Session, Timed

AMOUNTS_SIZE = 5000

# SHA-256, because Postgres does not promise that its own hash functions stay the same.
_VOTERS = text("""
    SELECT voting_group, split_part(address, '1', 1) AS address_prefix,
        count(*) AS voters,
        sum(voting_power) AS power,
        sum(('x' || left(encode(sha256(convert_to(
            voting_key || ' ' || address || ' ' || voting_power, 'UTF8')), 'hex'), 16))::bit(64)::bigint) AS digest,
        count(*) FILTER (WHERE voting_power >= :unit) AS token_holders,
        sum(voting_power / :unit) AS tokens
    FROM voter WHERE election = :election GROUP BY 1, 2 ORDER BY 1, 2
""")
_FUNDS = """
    SELECT min(address), sum(voting_power / $2)::bigint FROM voter WHERE election = $1
    GROUP BY voting_key HAVING sum(voting_power / $2) > 0 ORDER BY voting_key
"""
_TOKENS = """
    SELECT address, voting_power / $3 FROM voter WHERE election = $1 AND voting_group = $2 AND voting_power >= $3
    ORDER BY voting_key
"""


@dataclass(frozen=True, slots=True)
class Specified:
    """A specification with its canonical form."""

    spec: ElectionSpec
    canonical: str


class Specifications(Session):
    """Specifications are read once for each revision: fingerprinting reads every voter."""

    def __init__(self, url: str, *, timed: Timed = lambda _: nullcontext()) -> None:
        super().__init__(url, timed=timed)
        self._known: dict[int, Specified] = {}
        self._reading: dict[int, asyncio.Task[Specified]] = {}

    async def close(self) -> None:
        """Close all connections."""
        tasks = list(self._reading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await super().close()

    async def specification(self, election_id: int) -> ElectionSpec:
        """All that was specified for one election; PermanentError ``ElectionGone`` when its row is gone."""
        return (await self._present(election_id)).spec

    async def drift(self, election_id: int, block0_hash: str) -> str:
        """What differs between the specification that was published and the present one, in a few words."""
        present = await self._present(election_id)
        published = tables.published_specification
        async with self.transaction("drift") as connection:
            canonical = await connection.scalar(
                select(published.c.canonical).where(published.c.block0_hash == block0_hash)
            )
        if canonical is None:
            raise PermanentError("Block0Unknown", f"no specification was published with block 0 {block0_hash}")
        return differences(canonical, present.canonical)

    async def funds(self, election_id: int, power_unit: int) -> AsyncIterator[list[tuple[str, int]]]:
        """Batches of (address, units summed over groups), by voting key; voters below one unit are left out."""
        async with aclosing(self.batches(_FUNDS, election_id, power_unit, size=AMOUNTS_SIZE)) as batches:
            async for rows in batches:
                yield [(address, units) for address, units in rows]

    async def tokens(
        self, election_id: int, voting_group: str, power_unit: int
    ) -> AsyncIterator[list[tuple[str, int]]]:
        """Batches of (address, units) of one group, by voting key; voters below one unit are left out."""
        arguments = (election_id, voting_group, power_unit)
        async with aclosing(self.batches(_TOKENS, *arguments, size=AMOUNTS_SIZE)) as batches:
            async for rows in batches:
                yield [(address, units) for address, units in rows]

    async def _present(self, election_id: int) -> Specified:
        revision = tables.election_revision.c
        async with self.transaction("revision") as connection:
            present = await connection.scalar(select(revision.revision).where(revision.election == election_id))
        if present is None:
            raise election_gone(election_id)
        return await self._specified(election_id, present)

    async def _specified(self, election_id: int, revision: int) -> Specified:
        """The specification as of *revision*, or as it is now.

        Reading goes on when the caller gives up waiting, so that one that takes longer than callers are patient is
        there for the next caller.
        """
        known = self._known.get(election_id)
        if known and known.spec.revision == revision:
            return known
        specified = await asyncio.shield(self._begin_reading(election_id))
        if specified.spec.revision < revision:  # that had been begun before this revision was there
            specified = await asyncio.shield(self._begin_reading(election_id))
        return specified

    def _begin_reading(self, election_id: int) -> asyncio.Task[Specified]:
        task = self._reading.get(election_id)
        if task is None:
            task = asyncio.create_task(self._read(election_id), name=f"specification of election {election_id}")
            self._reading[election_id] = task
            task.add_done_callback(lambda done: self._have_read(election_id, done))
        return task

    def _have_read(self, election_id: int, task: asyncio.Task[Specified]) -> None:
        del self._reading[election_id]
        if not task.cancelled() and task.exception() is None:
            self._known[election_id] = task.result()

    def _forget_all_but(self, election_ids: Collection[int]) -> None:
        """Keep only the specifications of these elections."""
        self._known = {id_: specified for id_, specified in self._known.items() if id_ in election_ids}

    async def _read(self, election_id: int) -> Specified:
        async with self.transaction("specification", BULK_SECONDS, snapshot=True) as connection:
            return await _read_specification(connection, election_id)


def election_gone(election_id: int) -> PermanentError:
    """The error for an election whose row is not there."""
    return PermanentError("ElectionGone", f"election {election_id} is not in the database any more")


async def _read_specification(connection: AsyncConnection, election_id: int) -> Specified:
    election, revision = tables.election.c, tables.election_revision.c
    row = (
        await connection.execute(
            select(
                election.name,
                election.voting_start,
                election.voting_end,
                election.tallying_end,
                election.committee_threshold,
                election.voting_power_unit,
                revision.revision,
            )
            .join_from(tables.election, tables.election_revision)
            .where(election.id == election_id)
        )
    ).one_or_none()
    if row is None:
        raise election_gone(election_id)
    voters = (await connection.execute(_VOTERS, {"election": election_id, "unit": row.voting_power_unit})).all()
    groups, electorates = _summed(voters)
    spec = ElectionSpec(
        id=election_id,
        fingerprint="",
        committee=await _committee(connection, election_id),
        objectives=await _objectives(connection, election_id),
        groups=groups,
        address_prefixes=tuple(sorted({voter.address_prefix for voter in voters})),
        **row._mapping,
    )
    canonical = canonical_form(spec, electorates)
    return Specified(replace(spec, fingerprint=fingerprint(canonical)), canonical)


def _summed(rows: Sequence[Any]) -> tuple[tuple[VotingGroup, ...], list[Electorate]]:
    """Each group over its address prefixes, of which a sound group has one."""
    groups, electorates = [], []
    for name, parts in groupby(rows, key=lambda row: str(row.voting_group)):
        sums: defaultdict[str, int] = defaultdict(int)
        for part in parts:
            for column in ("voters", "power", "digest", "token_holders", "tokens"):
                sums[column] += int(getattr(part, column))
        groups.append(VotingGroup(name, sums["voters"], sums["token_holders"], sums["tokens"]))
        electorates.append(Electorate(name, sums["voters"], sums["power"], f"{sums['digest'] % 2**128:032x}"))
    return tuple(groups), electorates


async def _committee(connection: AsyncConnection, election_id: int) -> tuple[CommitteeMember, ...]:
    committee = tables.committee.c
    query = (
        select(committee.id, committee.member_index, committee.member_public_key)
        .where(committee.election == election_id)
        .order_by(committee.member_index)
    )
    return tuple(CommitteeMember(*row) for row in await connection.execute(query))


async def _objectives(connection: AsyncConnection, election_id: int) -> tuple[Objective, ...]:
    objective, proposal = tables.objective.c, tables.proposal.c
    proposals: defaultdict[int, list[Proposal]] = defaultdict(list)
    query = (
        select(proposal.objective, proposal.id, proposal.external_id, proposal.options)
        .join_from(tables.proposal, tables.objective)
        .where(objective.election == election_id, ~proposal.deleted)
        .order_by(proposal.objective, proposal.id)
    )
    for row in await connection.execute(query):
        external_id = row.external_id or derived_external_id("proposal", row.id)
        proposals[row.objective].append(Proposal(row.id, external_id, tuple(row.options)))
    query_objectives = (
        select(objective.id, objective.title, objective.payload_type, objective.voting_group)
        .where(objective.election == election_id)
        .order_by(objective.id)
    )
    return tuple(
        Objective(row.id, row.title, PayloadType(row.payload_type), row.voting_group, tuple(proposals[row.id]))
        for row in await connection.execute(query_objectives)
    )
