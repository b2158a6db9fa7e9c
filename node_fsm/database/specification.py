"""Reading all that was specified for one election, except its voters one by one."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from node_fsm.core.errors import PermanentError
from node_fsm.core.external_id import derived_external_id
from node_fsm.core.model import CommitteeMember, ElectionSpec, Objective, Proposal, VotingGroup
from node_fsm.core.payload_type import PayloadType
from node_fsm.database import tables
from node_fsm.database.canonical import Electorate, canonical_form, fingerprint
from node_fsm.database.times import RowUnreadableError, readable

ELECTION_GONE = "ElectionGone"
TIMES = ("voting_start", "voting_end", "tallying_end")

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

_FUND_HOLDERS = text("""
    SELECT count(*) FROM (
        SELECT FROM voter WHERE election = :election GROUP BY voting_key HAVING sum(voting_power / :unit) > 0
    ) AS holders
""")


@dataclass(frozen=True, slots=True)
class Specified:
    """A specification with its canonical form."""

    spec: ElectionSpec
    canonical: str


def election_gone(election_id: int) -> PermanentError:
    """The error for an election whose row is not there."""
    return PermanentError(ELECTION_GONE, f"election {election_id} is not in the database any more")


async def read_specification(connection: AsyncConnection, election_id: int) -> Specified:
    """All of one election; PermanentError ``ElectionGone`` without its row, ``RowUnreadable`` if one makes no sense."""
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
    times = {column: readable(row._mapping[column], f"election.{column} of election {election_id}") for column in TIMES}
    voters = (await connection.execute(_VOTERS, {"election": election_id, "unit": row.voting_power_unit})).all()
    groups, electorates = _summed(voters)
    spec = ElectionSpec(
        id=election_id,
        fingerprint="",
        committee=await _committee(connection, election_id),
        objectives=await _objectives(connection, election_id),
        groups=groups,
        fund_holders=await _fund_holders(connection, election_id, row.voting_power_unit, groups),
        address_prefixes=tuple(sorted({voter.address_prefix for voter in voters})),
        **(dict(row._mapping) | times),
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


async def _fund_holders(connection: AsyncConnection, election_id: int, unit: int, groups: Sequence[VotingGroup]) -> int:
    """Voters of all groups; those of a single one are counted already."""
    if len(groups) <= 1:
        return sum(group.token_holders for group in groups)
    holders: int = await connection.scalar(_FUND_HOLDERS, {"election": election_id, "unit": unit})
    return holders


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
        Objective(
            id=row.id,
            title=row.title,
            payload_type=read_payload_type(row.payload_type, f"objective.payload_type of objective {row.id}"),
            voting_group=row.voting_group,
            proposals=tuple(proposals[row.id]),
        )
        for row in await connection.execute(query_objectives)
    )


def read_payload_type(text_: str, where: str) -> PayloadType:
    """A payload type as it stands in a row; RowUnreadableError when there is none of this name."""
    try:
        return PayloadType(text_)
    except ValueError:
        raise RowUnreadableError(where, f"is {text_!r}, and must be {' or '.join(PayloadType)}") from None
