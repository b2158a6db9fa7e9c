"""Votes that a node has and the chain has not: handed to other nodes, and on record when they are not counted."""

from collections.abc import Collection, Sequence
from dataclasses import asdict

from sqlalchemy import ARRAY, ColumnElement, Text, any_, cast, delete, func, not_, select, true, update
from sqlalchemy.dialects.postgresql import insert

from node_fsm.core.model import SignedFragment, UncountedVote
from node_fsm.database import tables
from node_fsm.database.session import BULK_SECONDS, Session

_KEY = ("block0_hash", "fragment_id", "node")


class Votes:
    """Of the Database port: what becomes of votes that are in no block."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def hand_over(self, block0_hash: str, hostname: str, fragments: Sequence[SignedFragment]) -> None:
        """Give fragments to the other nodes of the chain, which post them: those that were settled are open again."""
        if not fragments:
            return
        rows = [
            {"block0_hash": block0_hash, "fragment_id": one.id, "raw": one.raw, "from_host": hostname}
            for one in fragments
        ]
        async with self._session.transaction("hand_over", BULK_SECONDS) as connection:
            statement = insert(tables.fragment_handover)
            again = statement.on_conflict_do_update(
                index_elements=["block0_hash", "fragment_id"],
                set_={"from_host": statement.excluded.from_host, "resolved_at": None},
                where=tables.fragment_handover.c.resolved_at.is_not(None),
            )
            await connection.execute(again, rows)

    async def handed_over(
        self, block0_hash: str, hostname: str, known: Collection[str], limit: int
    ) -> tuple[SignedFragment, ...]:
        """Up to *limit* of what other nodes handed over and is not settled, beside what is *known*, the first first."""
        handed = tables.fragment_handover.c
        query = (
            select(handed.fragment_id, handed.raw)
            .where(handed.block0_hash == block0_hash, handed.from_host != hostname, handed.resolved_at.is_(None))
            .where(not_(_is_among(handed.fragment_id, known)))
            .order_by(handed.handed_at, handed.fragment_id)
            .limit(limit)
        )
        async with self._session.transaction("handed_over") as connection:
            return tuple(SignedFragment(*row) for row in await connection.execute(query))

    async def resolve_handover(self, block0_hash: str, fragment_ids: Collection[str] | None = None) -> None:
        """Say that nobody needs to post these any more, or any of the chain: in blocks, expired, or voting is over."""
        handed = tables.fragment_handover.c
        these = true() if fragment_ids is None else _is_among(handed.fragment_id, fragment_ids)
        async with self._session.transaction("resolve_handover") as connection:
            await connection.execute(
                update(tables.fragment_handover)
                .where(handed.block0_hash == block0_hash, handed.resolved_at.is_(None), these)
                .values(resolved_at=func.now())
            )

    async def report_uncounted(
        self, election_id: int, election_name: str, block0_hash: str, hostname: str, votes: Sequence[UncountedVote]
    ) -> None:
        """Write which votes this node knows to be lost: exactly *votes*, in the place of what it wrote before."""
        vote = tables.uncounted_vote.c
        async with self._session.transaction("report_uncounted", BULK_SECONDS) as connection:
            await connection.execute(
                delete(tables.uncounted_vote).where(
                    vote.block0_hash == block0_hash,
                    vote.node == hostname,
                    not_(_is_among(vote.fragment_id, [one.fragment_id for one in votes])),
                )
            )
            if votes:
                statement = insert(tables.uncounted_vote)
                again = statement.on_conflict_do_update(index_elements=_KEY, set_={"why": statement.excluded.why})
                await connection.execute(again, _rows(election_id, election_name, block0_hash, hostname, votes))

    async def add_uncounted(
        self, election_id: int, election_name: str, block0_hash: str, hostname: str, votes: Sequence[UncountedVote]
    ) -> None:
        """Write that these are lost as well; what this node wrote of one before stays."""
        if not votes:
            return
        async with self._session.transaction("add_uncounted", BULK_SECONDS) as connection:
            statement = insert(tables.uncounted_vote).on_conflict_do_nothing(index_elements=_KEY)
            await connection.execute(statement, _rows(election_id, election_name, block0_hash, hostname, votes))

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
                delete(tables.uncounted_vote).where(
                    vote.block0_hash == block0_hash, _is_among(vote.fragment_id, fragment_ids)
                )
            )


def _rows(
    election_id: int, election_name: str, block0_hash: str, hostname: str, votes: Sequence[UncountedVote]
) -> list[dict[str, object]]:
    common = {"block0_hash": block0_hash, "node": hostname, "election": election_id, "election_name": election_name}
    return [common | asdict(vote) for vote in votes]


def _is_among(column: ColumnElement[str], values: Collection[str]) -> ColumnElement[bool]:
    """Whether *column* is one of *values*, which are one parameter: a statement takes no more than 32,767."""
    return column == any_(cast(list(values), ARRAY(Text)))
