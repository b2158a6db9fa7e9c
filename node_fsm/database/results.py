"""What is written once when an election ends: the node's account of its votes, and the results."""

import json
from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import Any

from sqlalchemy import delete, exists, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from node_fsm.core.errors import PermanentError
from node_fsm.core.model import JournalEntry, PlanResult, VotePlan
from node_fsm.database import tables
from node_fsm.database.journal import write_entries
from node_fsm.database.plans import read_plans
from node_fsm.database.session import Session


class Results:
    """Of the Database port: what an election's end is recorded with."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def save_tally_snapshot(
        self, block0_hash: str, snapshots: dict[str, Any], *, anew: bool = False
    ) -> dict[str, Any]:
        """Store the node's account of each plan (by plan id) once; returns what stands there, ours or an earlier.

        Ours takes the place of an earlier one if that is to be made *anew*, or results stand that are disputed, as
        :meth:`disputed` has it; but never of one that a share was posted of.
        """
        plan = tables.vote_plan.c
        async with self._session.transaction("save_tally_snapshot") as connection:
            await _lock_plans(connection, block0_hash, list(snapshots))
            rows = await connection.execute(
                select(plan.chain_id, plan.tally_snapshot).where(
                    plan.block0_hash == block0_hash, plan.tally_snapshot_hash.is_not(None)
                )
            )
            standing = {row.chain_id: row.tally_snapshot for row in rows}
            may_replace = anew or await _open_dispute(connection, block0_hash) is not None
            if standing and (not may_replace or await _are_being_opened(connection, block0_hash)):
                return standing
            for plan_id, snapshot in snapshots.items():
                await connection.execute(
                    update(tables.vote_plan)
                    .where(plan.block0_hash == block0_hash, plan.chain_id == plan_id)
                    .values(tally_snapshot=snapshot, tally_snapshot_hash=hash_of(snapshot))
                )
        return snapshots

    async def post_results(
        self,
        election_id: int,
        block0_hash: str,
        results: Sequence[PlanResult],
        entry: JournalEntry,
        *,
        disputed: str | None = None,
        untallied: Collection[str] = (),
    ) -> None:
        """Write the results of all plans in one transaction; the same again is a no-op, PermanentError if different.

        *disputed* says why no majority of the leaders confirmed the chain that was counted. Results that stand
        disputed, as :meth:`disputed` has it, give way to any others. *untallied* are the plans without a result:
        the votes in them stay encrypted.
        """
        by_plan = {result.plan_id: result for result in results}
        async with self._session.transaction("post_results") as connection:
            await _lock_plans(connection, block0_hash, [*by_plan, *untallied])
            plans = [plan for plan in await read_plans(connection, block0_hash) if plan.id in by_plan]
            posted = await _read_results(connection, block0_hash)
            given = tuple(by_plan[plan.id] for plan in plans)
            if posted and await _open_dispute(connection, block0_hash) is None:
                _require_same(posted, given, block0_hash)
                return
            if posted == given and disputed:
                return
            for table in (tables.tally_result, tables.tally):
                await connection.execute(delete(table).where(table.c.block0_hash == block0_hash))
            name = await connection.scalar(select(tables.election.c.name).where(tables.election.c.id == election_id))
            of_chain = {
                "block0_hash": block0_hash,
                "election": election_id,
                "election_name": name,
                "disputed": disputed,
            }
            for plan in plans:
                await _insert(connection, plan, by_plan[plan.id], of_chain)
            await write_entries(connection, [entry])

    async def disputed(self, block0_hash: str) -> str | None:
        """Why the posted results are disputed; None when they are not, or a person has confirmed them."""
        async with self._session.transaction("disputed") as connection:
            return await _open_dispute(connection, block0_hash)

    async def tally_confirmed(self, block0_hash: str) -> bool:
        """Whether a person has confirmed the chain, as leader 0 has it, for the tally."""
        confirmation = tables.tally_confirmation.c
        async with self._session.transaction("tally_confirmed") as connection:
            found = select(confirmation.block0_hash).where(confirmation.block0_hash == block0_hash)
            return await connection.scalar(found) is not None

    async def results(self, block0_hash: str) -> tuple[PlanResult, ...]:
        """The posted results by plan index; empty when there are none."""
        async with self._session.transaction("results", snapshot=True) as connection:
            return await _read_results(connection, block0_hash)


async def _are_being_opened(connection: AsyncConnection, block0_hash: str) -> bool:
    """Whether members have begun to open the votes; also when one is just posting a share, which holds the plan."""
    plan, share = tables.vote_plan.c, tables.decryption_share.c
    plans = select(plan.id).where(plan.block0_hash == block0_hash)
    free = await connection.scalars(plans.with_for_update(skip_locked=True))
    if len(free.all()) < len((await connection.scalars(plans)).all()):
        return True
    query = select(share.vote_plan).where(plan.block0_hash == block0_hash, share.vote_plan == plan.id).limit(1)
    return await connection.scalar(query) is not None


async def _open_dispute(connection: AsyncConnection, block0_hash: str) -> str | None:
    """Why results that no person has confirmed are disputed."""
    tally, confirmation = tables.tally.c, tables.tally_confirmation.c
    query = (
        select(tally.disputed)
        .where(tally.block0_hash == block0_hash, tally.disputed.is_not(None))
        .where(~exists().where(confirmation.block0_hash == block0_hash))
        .limit(1)
    )
    why: str | None = await connection.scalar(query)
    return why


async def _lock_plans(connection: AsyncConnection, block0_hash: str, plan_ids: list[str]) -> None:
    """Keep others from recording the same end; PermanentError unless *plan_ids* are exactly the chain's plans.

    Whoever posts a share holds the plan's key meanwhile, and so may a member's role for as long as it likes.
    """
    plan = tables.vote_plan.c
    rows = await connection.scalars(
        select(plan.chain_id)
        .where(plan.block0_hash == block0_hash)
        .order_by(plan.index)
        .with_for_update(key_share=True)
    )
    published = list(rows)
    if not published or sorted(published) != sorted(plan_ids):
        raise PermanentError(
            "PlansDiffer",
            f"block 0 {block0_hash} was published with the plans {', '.join(published) or '(none)'}; what is to be"
            f" recorded has {', '.join(plan_ids) or 'none'}",
        )


def _require_same(posted: Sequence[PlanResult], results: Sequence[PlanResult], block0_hash: str) -> None:
    different = sorted({result.plan_id for result in {*posted} ^ {*results}})
    if different:
        raise PermanentError(
            "ResultsDiffer",
            f"other results of block 0 {block0_hash} stand in tally and tally_result for the plans"
            f" {', '.join(different)}; they are kept, find out which count is right",
        )


async def _insert(connection: AsyncConnection, plan: VotePlan, result: PlanResult, of_chain: dict[str, object]) -> None:
    if [len(votes) for votes in result.votes] != [len(proposal.options) for proposal in plan.proposals]:
        raise PermanentError(
            "PlansDiffer", f"the results of plan {plan.id} have other proposals or options than were published"
        )
    await connection.execute(
        insert(tables.tally),
        of_chain
        | {
            "vote_plan": plan.id,
            "index": plan.index,
            "fragment_id": result.fragment_id,
            "on_chain": result.on_chain,
            "results_hash": hash_of(result.votes),
        },
    )
    await connection.execute(
        insert(tables.tally_result),
        [
            {
                "block0_hash": of_chain["block0_hash"],
                "vote_plan": plan.id,
                "proposal_index": index,
                "proposal": proposal.id,
                "external_id": proposal.external_id,
                "option": option,
                "votes": count,
            }
            for index, (proposal, votes) in enumerate(zip(plan.proposals, result.votes, strict=True))
            for option, count in enumerate(votes)
        ],
    )


async def _read_results(connection: AsyncConnection, block0_hash: str) -> tuple[PlanResult, ...]:
    tally, result = tables.tally.c, tables.tally_result.c
    counts: dict[str, dict[int, list[int]]] = {}
    query = (
        select(result.vote_plan, result.proposal_index, result.votes)
        .where(result.block0_hash == block0_hash)
        .order_by(result.vote_plan, result.proposal_index, result.option)
    )
    for row in await connection.execute(query):
        counts.setdefault(row.vote_plan, {}).setdefault(row.proposal_index, []).append(row.votes)
    tallies = await connection.execute(
        select(tally.vote_plan, tally.fragment_id, tally.on_chain)
        .where(tally.block0_hash == block0_hash)
        .order_by(tally.index)
    )
    return tuple(_result(row, counts.get(row.vote_plan, {})) for row in tallies)


def _result(row: Any, counts: dict[int, list[int]]) -> PlanResult:
    return PlanResult(
        plan_id=row.vote_plan,
        votes=tuple(tuple(votes) for votes in counts.values()),
        fragment_id=row.fragment_id,
        on_chain=row.on_chain,
    )


def hash_of(value: object) -> str:
    """The sha256 of *value* as compact JSON with sorted keys."""
    return sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
