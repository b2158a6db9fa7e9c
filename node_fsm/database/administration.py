"""What operators do beside importing: nodes, cancelling, and taking the lease from a host that is gone."""

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from node_fsm.core.errors import PermanentError
from node_fsm.core.model import NodeRow
from node_fsm.database import tables
from node_fsm.database.session import Session

_CANCEL = text("""
    UPDATE election SET cancelled_at = coalesce(cancelled_at, now()) WHERE name = :name RETURNING id, block0_hash
""")
_PUBLISHED = text("""
    SELECT id, block0_hash, EXISTS (SELECT FROM tally WHERE tally.block0_hash = election.block0_hash) AS counted
    FROM election WHERE name = :name
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


async def add_node(session: Session, hostname: str, leader_id: str | None) -> NodeRow | None:
    """Write a node's row, a follower's without *leader_id*; the row as it was before, None when it is new.

    PermanentError ``KeyOfAnotherNode`` when another row has the key: no election could be built with both.
    """
    node = tables.jorm_nodes
    known = select(node.c.hostname, node.c.leader_id, node.c.p2p_address).where(node.c.hostname == hostname)
    twin = select(node.c.hostname).where(node.c.leader_id == leader_id, node.c.hostname != hostname)
    async with session.transaction("add_node") as connection:
        if other := await connection.scalar(twin):
            raise PermanentError(
                "KeyOfAnotherNode",
                f"{other} has this key in jorm_nodes, and every leader needs one of its own; when {hostname} takes its"
                f" place, first run `node-fsm node remove {other}`",
            )
        before = (await connection.execute(known)).one_or_none()
        row = insert(node).values(hostname=hostname, leader_id=leader_id)
        await connection.execute(row.on_conflict_do_update(index_elements=["hostname"], set_={"leader_id": leader_id}))
    return NodeRow(*before) if before else None


async def remove_node(session: Session, hostname: str) -> NodeRow | None:
    """Delete a node's row, which frees its key; the row as it was, None when there was none."""
    node = tables.jorm_nodes
    row = (
        delete(node).where(node.c.hostname == hostname).returning(node.c.hostname, node.c.leader_id, node.c.p2p_address)
    )
    async with session.transaction("remove_node") as connection:
        removed = (await connection.execute(row)).one_or_none()
    return NodeRow(*removed) if removed else None


async def cancel_election(session: Session, name: str) -> str | None:
    """Mark an election cancelled; the hash of its block 0, which leader 0 then withdraws, if one is published.

    PermanentError ``ElectionUnknown`` when there is none of this name. Cancelled already is a no-op.
    """
    async with session.transaction("cancel_election") as connection:
        row = (await connection.execute(_CANCEL, {"name": name})).one_or_none()
        if row is None:
            raise election_unknown(name)
        await connection.execute(_WITHDRAW_VANISHED, {"election": row.id, "standing": row.block0_hash})
    return str(row.block0_hash) if row.block0_hash else None


async def confirm_tally(session: Session, name: str) -> tuple[str, bool]:
    """Record that a person has the chain of election *name* counted, or its disputed count stand, as leader 0 has it.

    Its block 0 hash, and whether results stand already. PermanentError ``ElectionUnknown``, or ``NothingToConfirm``
    when no block 0 is published. Confirmed already is a no-op.
    """
    async with session.transaction("confirm_tally") as connection:
        row = (await connection.execute(_PUBLISHED, {"name": name})).one_or_none()
        if row is None:
            raise election_unknown(name)
        if row.block0_hash is None:
            raise PermanentError("NothingToConfirm", f"election {name!r} has no block 0, so there is no chain to count")
        confirmation = insert(tables.tally_confirmation).values(
            block0_hash=row.block0_hash, election=row.id, election_name=name
        )
        await connection.execute(confirmation.on_conflict_do_nothing())
    return row.block0_hash, row.counted


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


async def take_lease(session: Session, hostname: str) -> tuple[str, ...]:
    """Record that a person stopped every other host that may run leader 0's node; the names of those hosts.

    The service on *hostname* then takes the lease at its next attempt. Empty when no other host was in the way.
    """
    async with session.transaction("take_lease") as connection:
        row = (await connection.execute(_TAKE, {"hostname": hostname})).one_or_none()
    if row is None:
        return ()
    return tuple(host for host in (row.holder, row.unconfirmed_holder) if host and host != hostname)


def election_unknown(name: str) -> PermanentError:
    """The error for a name that no election has."""
    return PermanentError("ElectionUnknown", f"there is no election {name!r}; `node-fsm election show` lists them all")
