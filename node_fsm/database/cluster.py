"""What nodes say of themselves, for people and for each other."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from node_fsm.core.chain_time import END_OF_TIME, FIRST_TIME
from node_fsm.core.cluster import ChainCopy, Neighbour, NodeReport
from node_fsm.core.conditions import Condition
from node_fsm.core.marks import Mark
from node_fsm.core.model import JournalEntry
from node_fsm.database import tables
from node_fsm.database.journal import storable, write_entries
from node_fsm.database.session import Session
from node_fsm.log import redact

MESSAGE_LENGTH = 4000
"""Characters of a condition's message that are written."""


class Cluster:
    """Of the Database port: what nodes write and read about each other."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def journal(self, entries: Sequence[JournalEntry]) -> None:
        """Append to ``phase_journal``; an entry that stands there already is not written twice."""
        if not entries:
            return
        async with self._session.transaction("journal") as connection:
            await write_entries(connection, entries)

    async def report_status(self, report: NodeReport) -> None:
        """Write this node's row of ``node_status``, and how much of the chain its machine holds if that is known."""
        said = report.statement
        row = {
            "phase": report.phase,
            "since": report.since,
            "election": report.election_id,
            "block0_hash": report.block0_hash,
            "height": report.height,
            "tip": report.tip,
            "tip_date": report.tip_date,
            "peers": report.peers,
            "conditions": list(report.conditions),
            "version": report.version,
            "updated_at": report.updated_at,
            "marks": [list(mark) for mark in said.marks] if said else [],
            "apart": list(said.apart) if said else [],
            "last_counted": said.last_counted if said else None,
            "role": report.role,
            "votes": report.votes,
            "deadline": report.deadline.name if report.deadline else None,
            "deadline_at": report.deadline.at if report.deadline else None,
            "condition_details": [_detail(condition) for condition in report.details],
            "stopped_at": report.updated_at if report.stopped else None,
        }
        if report.decryption_speed:
            row["decryption_speed"] = report.decryption_speed.document()
        statement = insert(tables.node_status).values(hostname=report.hostname, **row)
        async with self._session.transaction("report_status") as connection:
            await connection.execute(statement.on_conflict_do_update(index_elements=["hostname"], set_=row))
            if report.holds_chain:
                held = {"height": report.height, "lost": False}
                copy = insert(tables.chain_copy).values(
                    block0_hash=report.block0_hash, hostname=report.hostname, **held
                )
                await connection.execute(
                    copy.on_conflict_do_update(index_elements=["block0_hash", "hostname"], set_=held)
                )

    async def chain_copies(self, block0_hash: str) -> tuple[ChainCopy, ...]:
        """What all nodes ever reported to hold of this chain, by hostname."""
        copy, node = tables.chain_copy.c, tables.jorm_nodes.c
        query = (
            select(copy.hostname, copy.height, copy.lost, node.leader_id.is_not(None))
            .outerjoin(tables.jorm_nodes, node.hostname == copy.hostname)
            .where(copy.block0_hash == block0_hash)
            .order_by(copy.hostname)
        )
        async with self._session.transaction("chain_copies") as connection:
            return tuple(ChainCopy(*row) for row in await connection.execute(query))

    async def save_chain_copy(self, block0_hash: str, hostname: str, *, lost: bool) -> None:
        """Say that the chain is gone from that machine, or (again) on it; how much of it was known stays known."""
        row = insert(tables.chain_copy).values(block0_hash=block0_hash, hostname=hostname, height=1, lost=lost)
        async with self._session.transaction("save_chain_copy") as connection:
            await connection.execute(
                row.on_conflict_do_update(
                    index_elements=["block0_hash", "hostname"],
                    set_={"lost": lost, "height": func.greatest(tables.chain_copy.c.height, 1)},
                )
            )

    async def neighbours(self, block0_hash: str, hostname: str) -> tuple[Neighbour, ...]:
        """What the nodes of this chain other than *hostname* reported, as far as they have a tip, by hostname."""
        status = tables.node_status.c
        query = (
            select(
                *(status.hostname, status.height, status.tip, status.conditions),
                *(status.marks, status.apart, status.last_counted, status.updated_at),
            )
            .where(status.block0_hash == block0_hash, status.hostname != hostname)
            .where(status.height.is_not(None), status.tip.is_not(None))
            .where(status.updated_at >= FIRST_TIME, status.updated_at < END_OF_TIME)
            .order_by(status.hostname)
        )
        async with self._session.transaction("neighbours") as connection:
            return tuple(_neighbour(row) for row in await connection.execute(query))

    async def announce(self, hostname: str, p2p_address: str | None) -> None:
        """Write the multiaddr that peers are told into this node's row of ``jorm_nodes``, if it has one."""
        node = tables.jorm_nodes.c
        async with self._session.transaction("announce") as connection:
            await connection.execute(
                update(tables.jorm_nodes)
                .where(node.hostname == hostname, node.p2p_address.is_distinct_from(p2p_address))
                .values(p2p_address=p2p_address)
            )


def _neighbour(row: Any) -> Neighbour:
    """What a node said; marks that are none, as somebody may have written them by hand, are left out."""
    marks = row.marks if isinstance(row.marks, list) else []
    return Neighbour(
        hostname=row.hostname,
        height=row.height,
        tip=row.tip,
        conditions=tuple(row.conditions),
        marks=tuple(Mark(*mark) for mark in marks if _is_mark(mark)),
        apart=tuple(row.apart),
        last_counted=row.last_counted,
        updated_at=row.updated_at,
    )


def _detail(condition: Condition) -> dict[str, str]:
    """A condition for people who have only the database: as the sidecar tells it, no longer than anybody reads."""
    return {
        "type": condition.type,
        "reason": condition.reason,
        "message": storable(redact(condition.message))[:MESSAGE_LENGTH],
        "since": condition.since.isoformat(),
    }


def _is_mark(value: object) -> bool:
    return isinstance(value, list) and [type(part) for part in value] == [int, str]
