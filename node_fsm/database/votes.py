"""Votes that a node has and the chain has not: handed to other nodes, and on record when they are not counted."""

from collections.abc import Collection, Sequence

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from node_fsm.core.model import SignedFragment, UncountedVote
from node_fsm.database import tables
from node_fsm.database.session import Session

_ROWS_AT_ONCE = 1000


class Votes:
    """Of the Database port: what becomes of votes that are in no block."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def hand_over(self, block0_hash: str, hostname: str, fragments: Sequence[SignedFragment]) -> None:
        """Give fragments to the other nodes of the chain, which post them; those that stand there already stay."""
        if not fragments:
            return
        rows = [
            {"block0_hash": block0_hash, "fragment_id": one.id, "raw": one.raw, "from_host": hostname}
            for one in fragments
        ]
        async with self._session.transaction("hand_over") as connection:
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                statement = insert(tables.fragment_handover).values(rows[start : start + _ROWS_AT_ONCE])
                await connection.execute(statement.on_conflict_do_nothing())

    async def handed_over(self, block0_hash: str, hostname: str, limit: int) -> tuple[SignedFragment, ...]:
        """Up to *limit* of what other nodes handed over and nobody has seen in a block, the first ones first."""
        handed = tables.fragment_handover.c
        query = (
            select(handed.fragment_id, handed.raw)
            .where(handed.block0_hash == block0_hash, handed.from_host != hostname, handed.resolved_at.is_(None))
            .order_by(handed.handed_at, handed.fragment_id)
            .limit(limit)
        )
        async with self._session.transaction("handed_over") as connection:
            return tuple(SignedFragment(*row) for row in await connection.execute(query))

    async def resolve_handover(self, block0_hash: str, fragment_ids: Collection[str]) -> None:
        """Say that these are in blocks, or expired: nobody needs to post them any more."""
        handed = tables.fragment_handover.c
        async with self._session.transaction("resolve_handover") as connection:
            await connection.execute(
                update(tables.fragment_handover)
                .where(handed.block0_hash == block0_hash, handed.fragment_id.in_(fragment_ids))
                .where(handed.resolved_at.is_(None))
                .values(resolved_at=func.now())
            )

    async def report_uncounted(
        self, election_id: int, election_name: str, block0_hash: str, hostname: str, votes: Sequence[UncountedVote]
    ) -> None:
        """Write which votes this node knows to be lost: exactly *votes*, in the place of what it wrote before."""
        vote = tables.uncounted_vote.c
        common = {
            "block0_hash": block0_hash,
            "node": hostname,
            "election": election_id,
            "election_name": election_name,
        }
        rows = [
            common
            | {
                "fragment_id": one.fragment_id,
                "account": one.account,
                "weight": one.weight,
                "why": one.why,
                "raw": one.raw,
            }
            for one in votes
        ]
        async with self._session.transaction("report_uncounted") as connection:
            await connection.execute(
                delete(tables.uncounted_vote).where(
                    vote.block0_hash == block0_hash,
                    vote.node == hostname,
                    vote.fragment_id.not_in([one.fragment_id for one in votes]),
                )
            )
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                statement = insert(tables.uncounted_vote).values(rows[start : start + _ROWS_AT_ONCE])
                await connection.execute(
                    statement.on_conflict_do_update(
                        index_elements=["block0_hash", "fragment_id", "node"], set_={"why": statement.excluded.why}
                    )
                )

    async def uncounted(self, block0_hash: str) -> tuple[UncountedVote, ...]:
        """The votes that any node reported to be lost, each once, by fragment id."""
        vote = tables.uncounted_vote.c
        query = (
            select(vote.fragment_id, vote.account, vote.weight, vote.why, vote.raw)
            .where(vote.block0_hash == block0_hash)
            .order_by(vote.fragment_id, vote.node.desc())
        )
        async with self._session.transaction("uncounted") as connection:
            rows = await connection.execute(query)
        return tuple({row.fragment_id: UncountedVote(*row) for row in rows}.values())

    async def forget_uncounted(self, block0_hash: str, fragment_ids: Collection[str]) -> None:
        """Remove the reports, of all nodes, about votes that the counted chain has after all."""
        vote = tables.uncounted_vote.c
        async with self._session.transaction("forget_uncounted") as connection:
            await connection.execute(
                delete(tables.uncounted_vote).where(vote.block0_hash == block0_hash, vote.fragment_id.in_(fragment_ids))
            )
