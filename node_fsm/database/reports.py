"""What nodes say of themselves, for people and for each other."""

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from node_fsm.core.model import JournalEntry, StatusReport
from node_fsm.database import tables
from node_fsm.database.session import Session


class Reports(Session):
    """The methods of the Database port about nodes."""

    async def journal(self, entries: Sequence[JournalEntry]) -> None:
        """Append to ``phase_journal``; an entry that stands there already is not written twice."""
        if not entries:
            return
        rows = [
            {
                "hostname": entry.hostname,
                "election": entry.election_id,
                "election_name": entry.election_name,
                "from": entry.source,
                "event": entry.event,
                "to": entry.target,
                "at": entry.at,
                "reason": entry.reason,
            }
            for entry in entries
        ]
        async with self.transaction("journal") as connection:
            await connection.execute(insert(tables.phase_journal).on_conflict_do_nothing(), rows)

    async def report_status(self, report: StatusReport) -> None:
        """Write this node's row of ``node_status``."""
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
        }
        statement = insert(tables.node_status).values(hostname=report.hostname, **row)
        async with self.transaction("report_status") as connection:
            await connection.execute(statement.on_conflict_do_update(index_elements=["hostname"], set_=row))

    async def greatest_height(self, block0_hash: str) -> tuple[str, int] | None:
        """(hostname, height) of the leader that reported the greatest height of this chain; None without a report."""
        status, node = tables.node_status.c, tables.jorm_nodes.c
        query = (
            select(status.hostname, status.height)
            .join(tables.jorm_nodes, node.hostname == status.hostname)
            .where(status.block0_hash == block0_hash, status.height.is_not(None), node.leader_id.is_not(None))
            .order_by(status.height.desc(), status.hostname)
            .limit(1)
        )
        async with self.transaction("greatest_height") as connection:
            row = (await connection.execute(query)).one_or_none()
        return (row.hostname, row.height) if row else None

    async def announce(self, hostname: str, p2p_address: str | None) -> None:
        """Write the multiaddr that peers are told into this node's row of ``jorm_nodes``, if it has one."""
        node = tables.jorm_nodes.c
        async with self.transaction("announce") as connection:
            await connection.execute(
                update(tables.jorm_nodes)
                .where(node.hostname == hostname, node.p2p_address.is_distinct_from(p2p_address))
                .values(p2p_address=p2p_address)
            )
