"""What members of a committee read of an election; their role in the database needs the rights to no more than this."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from node_fsm.core.committee import SavedSnapshot
from node_fsm.core.errors import PermanentError
from node_fsm.core.payload_type import PayloadType
from node_fsm.database import tables
from node_fsm.database.session import Session
from node_fsm.database.times import readable


@dataclass(frozen=True, slots=True)
class CommitteePlan:
    """A private plan of the published chain; *snapshot* is None until leader 0 has stored the sums of its votes."""

    id: str
    encryption_key: str | None
    snapshot: SavedSnapshot | None


@dataclass(frozen=True, slots=True)
class CommitteeElection:
    """An election as its committee sees it; *members* are the public keys by member index, None where one is missing.

    *now* is the database's time. Without a *block0_hash* nothing is published, and there are no plans.
    """

    name: str
    voting_end: datetime
    tallying_end: datetime
    now: datetime
    block0_hash: str | None
    members: dict[int, str | None]
    plans: tuple[CommitteePlan, ...]


async def committee_election(session: Session, name: str) -> CommitteeElection:
    """The election of this name; PermanentError ``ElectionUnknown``."""
    election, member, plan = tables.election.c, tables.committee.c, tables.vote_plan.c
    the_election = select(
        election.id,
        election.voting_end,
        election.tallying_end,
        election.block0_hash,
        func.clock_timestamp().label("now"),
    ).where(election.name == name)
    async with session.transaction("committee_election", snapshot=True) as connection:
        row = (await connection.execute(the_election)).one_or_none()
        if row is None:
            names = (await connection.scalars(select(election.name).order_by(election.name))).all()
            raise PermanentError(
                "ElectionUnknown",
                f"there is no election {name!r}; there are {', '.join(map(repr, names)) or 'none yet'}",
            )
        members = await connection.execute(
            select(member.member_index, member.member_public_key)
            .where(member.election == row.id)
            .order_by(member.member_index)
        )
        plans = await connection.execute(
            select(plan.chain_id, plan.encryption_key, plan.tally_snapshot, plan.tally_snapshot_hash)
            .where(plan.block0_hash == row.block0_hash, plan.payload_type == PayloadType.PRIVATE.value)
            .order_by(plan.index)
        )
        return CommitteeElection(
            name=name,
            voting_end=readable(row.voting_end, f"election.voting_end of {name}"),
            tallying_end=readable(row.tallying_end, f"election.tallying_end of {name}"),
            now=row.now,
            block0_hash=row.block0_hash,
            members={each.member_index: each.member_public_key for each in members},
            plans=tuple(
                CommitteePlan(
                    each.chain_id,
                    each.encryption_key,
                    SavedSnapshot(each.chain_id, each.tally_snapshot, each.tally_snapshot_hash)
                    if each.tally_snapshot_hash is not None
                    else None,
                )
                for each in plans
            ),
        )
