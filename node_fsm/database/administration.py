"""What operators do beside importing: nodes, cancelling, and taking the lease from a host that is gone.

What cannot be undone is done only to what a person was asked about: each such operation takes what was read before, and
TemporaryError ``ChangedMeanwhile`` says that it is something else now.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.core.model import NodeRow
from node_fsm.core.printable import argument
from node_fsm.database import tables
from node_fsm.database.session import Session

_CANCEL = text("""
    UPDATE election SET cancelled_at = coalesce(cancelled_at, now()) WHERE name = :name RETURNING id, block0_hash
""")
_ELECTION = text("""
    SELECT id, block0_hash, cancelled_at IS NOT NULL AS cancelled,
        EXISTS (SELECT FROM vote_plan WHERE vote_plan.election = election.id AND withdrawn_at IS NULL) AS published,
        EXISTS (SELECT FROM tally WHERE tally.block0_hash = election.block0_hash) AS counted,
        EXISTS (SELECT FROM archive WHERE archive.block0_hash = election.block0_hash AND kind = 'final') AS archived,
        EXISTS (SELECT FROM tally_confirmation AS said WHERE said.block0_hash = election.block0_hash) AS confirmed,
        (SELECT max(disputed) FROM tally WHERE tally.block0_hash = election.block0_hash) AS disputed
    FROM election WHERE name = :name
""")
_LOST = text("""
    SELECT count(*), coalesce(sum(weight), 0)::bigint FROM (
        SELECT DISTINCT ON (block0_hash, fragment_id) weight FROM uncounted_vote
        WHERE election_name = :name AND acknowledged_at IS NULL
    ) AS vote
""")
# What vanished from the row is not withdrawn by leader 0, which only removes what stands there.
_WITHDRAW_VANISHED = text("""
    UPDATE vote_plan SET withdrawn_at = now()
    WHERE election = :election AND block0_hash IS DISTINCT FROM :standing AND withdrawn_at IS NULL
""")
# Only this host itself may still run the node, which is what an unconfirmed holder of its name goes on to say.
_TAKE = text("""
    UPDATE lease SET stopped = lease.stopped OR lease.holder <> :hostname,
        unconfirmed_holder = CASE WHEN lease.unconfirmed_holder = :hostname THEN :hostname END
    FROM (SELECT CASE WHEN NOT stopped THEN holder END AS holder, unconfirmed_holder FROM lease FOR UPDATE) AS before
    RETURNING before.holder, before.unconfirmed_holder
""")
_IN_THE_WAY = text("""
    SELECT host, host = holder AND expires_at > clock_timestamp() AS renews, updated_at
    FROM lease CROSS JOIN unnest(ARRAY[CASE WHEN NOT stopped THEN holder END, unconfirmed_holder]) AS host
    LEFT JOIN node_status ON hostname = host
    WHERE host <> :hostname
""")


@dataclass(frozen=True, slots=True)
class ElectionState:
    """How far an election is: what is asked about before it is cancelled or confirmed.

    *published* says whether a block 0 of it is published and not withdrawn, even if it vanished from its row. The
    others speak of the one that stands there, with *block0_hash*: whether it is *counted* and *archived* (a verified
    final archive), why its count may not stand (*disputed*), and whether a person said that it does (*confirmed*).
    """

    id: int
    block0_hash: str | None
    cancelled: bool
    published: bool
    counted: bool
    archived: bool
    confirmed: bool
    disputed: str | None


@dataclass(frozen=True, slots=True)
class OtherLeader0:
    """Another host that may run leader 0's node: whether it *renews* the lease still, and when it was last heard of."""

    hostname: str
    renews: bool
    heard_at: datetime | str | None


async def election_state(session: Session, name: str) -> ElectionState:
    """How far the election of this name is; PermanentError ``ElectionUnknown``."""
    async with session.transaction("election_state") as connection:
        return await _state(connection, name)


async def _state(connection: AsyncConnection, name: str) -> ElectionState:
    row = (await connection.execute(_ELECTION, {"name": name})).one_or_none()
    if row is None:
        raise election_unknown(name)
    return ElectionState(*row)


async def node_row(session: Session, hostname: str) -> NodeRow | None:
    """The row of ``jorm_nodes`` for *hostname*."""
    node = tables.jorm_nodes.c
    async with session.transaction("node_row") as connection:
        query = select(node.hostname, node.leader_id, node.p2p_address).where(node.hostname == hostname)
        row = (await connection.execute(query)).one_or_none()
    return NodeRow(*row) if row else None


async def add_node(session: Session, hostname: str, leader_id: str | None) -> NodeRow | None:
    """Write a node's row, a follower's without *leader_id*; the row as it was before, None when it is new.

    PermanentError ``KeyOfAnotherNode`` when another row has the key: no election could be built with both.
    """
    node = tables.jorm_nodes
    known = select(node.c.hostname, node.c.leader_id, node.c.p2p_address).where(node.c.hostname == hostname)
    twin = select(node.c.hostname).where(node.c.leader_id == leader_id, node.c.hostname != hostname)
    async with session.transaction("add_node") as connection:
        if leader_id and (other := await connection.scalar(twin)):
            raise PermanentError(
                "KeyOfAnotherNode",
                f"{other} has this key in jorm_nodes, and every leader needs one of its own; when {hostname} takes its"
                f" place, first run `node-fsm node remove {argument(other)}`",
            )
        before = (await connection.execute(known)).one_or_none()
        row = insert(node).values(hostname=hostname, leader_id=leader_id)
        await connection.execute(row.on_conflict_do_update(index_elements=["hostname"], set_={"leader_id": leader_id}))
    return NodeRow(*before) if before else None


async def remove_node(session: Session, hostname: str) -> NodeRow | None:
    """Delete a node's row, which frees its key, and what it told of itself; the row as it was, None if it had none.

    PermanentError ``NodeUnknown`` when nothing is known of such a host.
    """
    node, status = tables.jorm_nodes, tables.node_status
    row = (
        delete(node).where(node.c.hostname == hostname).returning(node.c.hostname, node.c.leader_id, node.c.p2p_address)
    )
    told = delete(status).where(status.c.hostname == hostname).returning(status.c.hostname)
    async with session.transaction("remove_node") as connection:
        removed = (await connection.execute(row)).one_or_none()
        if await connection.scalar(told) is None and removed is None:
            names = (await connection.scalars(select(node.c.hostname).order_by(node.c.hostname))).all()
            raise PermanentError(
                "NodeUnknown",
                f"neither jorm_nodes nor node_status has a row for {hostname!r}; there are"
                f" {', '.join(map(repr, names)) or 'none yet'}",
            )
    return NodeRow(*removed) if removed else None


async def cancel_election(session: Session, name: str, *, seen: ElectionState | None = None) -> str | None:
    """Mark an election cancelled; the hash of its block 0, which leader 0 then withdraws, if one is published.

    Of one that was *seen*, only if its chain is still the one that was. PermanentError ``ElectionUnknown``, or
    ``ElectionArchived`` or ``ElectionCounted`` when it is over. Cancelled already is a no-op.
    """
    async with session.transaction("cancel_election") as connection:
        row = (await connection.execute(_CANCEL, {"name": name})).one_or_none()
        if row is None:
            raise election_unknown(name)
        state = await _state(connection, name)
        if state.archived:
            raise PermanentError(
                "ElectionArchived", f"election {name!r} is over, and its chain is archived; there is nothing to cancel"
            )
        if state.counted:
            raise PermanentError(
                "ElectionCounted", f"the results of election {name!r} stand already; there is nothing to cancel"
            )
        if seen and row.block0_hash != seen.block0_hash:
            raise _changed(f"block 0 of {name!r} is {row.block0_hash or 'not there'}, and was {seen.block0_hash}")
        await connection.execute(_WITHDRAW_VANISHED, {"election": row.id, "standing": row.block0_hash})
    return str(row.block0_hash) if row.block0_hash else None


async def confirm_tally(session: Session, name: str, *, seen: ElectionState | None = None) -> tuple[str, bool]:
    """Record that a person has the chain of election *name* counted, or its disputed count stand, as leader 0 has it.

    Of one that was *seen*, only if its chain is still the one that was. Its block 0 hash, and whether results stand
    already. PermanentError ``ElectionUnknown``, or ``NothingToConfirm`` when no block 0 is published. Confirmed already
    is a no-op.
    """
    async with session.transaction("confirm_tally") as connection:
        state = await _state(connection, name)
        if state.block0_hash is None:
            raise PermanentError("NothingToConfirm", f"election {name!r} has no block 0, so there is no chain to count")
        if seen and state.block0_hash != seen.block0_hash:
            raise _changed(f"block 0 of {name!r} is {state.block0_hash}, and was {seen.block0_hash or 'not there'}")
        confirmation = insert(tables.tally_confirmation).values(
            block0_hash=state.block0_hash, election=state.id, election_name=name
        )
        await connection.execute(confirmation.on_conflict_do_nothing())
    return state.block0_hash, state.counted


async def lost_votes(session: Session, name: str) -> tuple[int, int]:
    """How many votes of election *name* are not counted and not acknowledged, and their weight together."""
    async with session.transaction("lost_votes") as connection:
        count, weight = (await connection.execute(_LOST, {"name": name})).one()
    return count, weight


async def acknowledge_lost_votes(session: Session, name: str) -> int:
    """Record that a person knows of the votes of election *name* that are not counted; how many it were.

    PermanentError ``NothingToAcknowledge`` when there are none of that name.
    """
    vote = tables.uncounted_vote.c
    async with session.transaction("acknowledge_lost_votes") as connection:
        known = await connection.scalars(
            update(tables.uncounted_vote)
            .where(vote.election_name == name, vote.acknowledged_at.is_(None))
            .values(acknowledged_at=func.now())
            .returning(vote.fragment_id)
        )
        count = len(set(known))
    if not count:
        raise PermanentError("NothingToAcknowledge", f"no votes of election {name!r} are waiting to be acknowledged")
    return count


async def other_leaders0(session: Session, hostname: str) -> tuple[OtherLeader0, ...]:
    """The other hosts that may run leader 0's node, because they held the lease and never said that they stopped."""
    async with session.transaction("other_leaders0") as connection:
        rows = (await connection.execute(_IN_THE_WAY, {"hostname": hostname})).all()
    return tuple(OtherLeader0(*row) for row in rows)


async def take_lease(session: Session, hostname: str, *, stopped: Collection[str] | None = None) -> tuple[str, ...]:
    """Record that a person stopped every other host that may run leader 0's node; the names of those hosts.

    Given who was *stopped*, only if it is these. The service on *hostname* then takes the lease at its next attempt.
    Empty when no other host was in the way.
    """
    async with session.transaction("take_lease") as connection:
        row = (await connection.execute(_TAKE, {"hostname": hostname})).one_or_none()
        hosts = (row.holder, row.unconfirmed_holder) if row else ()
        others = tuple(host for host in hosts if host and host != hostname)
        if stopped is not None and set(others) - set(stopped):
            raise _changed(f"{' and '.join(others)} may run leader 0's node")
    return others


def _changed(what: str) -> TemporaryError:
    return TemporaryError("ChangedMeanwhile", f"{what}; nothing was changed, look again before you go on")


def election_unknown(name: str) -> PermanentError:
    """The error for a name that no election has."""
    return PermanentError("ElectionUnknown", f"there is no election {name!r}; `node-fsm election list` shows them all")
