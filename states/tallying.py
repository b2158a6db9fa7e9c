"""Tallying: the votes are counted, the tally is put on the chain, the results are posted."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from loguru import logger

from node_fsm.core.chain_time import ChainDates
from node_fsm.core.conditions import ConditionType
from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.core.events import Event, Fact
from node_fsm.core.model import PlanResult
from node_fsm.core.phases import Phase
from node_fsm.core.view import Decision
from node_fsm.steps import private_tally
from node_fsm.steps import split as neighbours
from node_fsm.steps.adopt import adopt_block0, open_copy
from node_fsm.steps.agreement import agree, note, noted, reconsider
from node_fsm.steps.context import Context
from node_fsm.steps.kept_results import keep_results
from node_fsm.steps.lost_votes import LostVotes
from node_fsm.steps.private_tally import PrivateTally, keep_tally
from node_fsm.steps.put_back import put_back_if_forgotten
from node_fsm.steps.recover import recover_archive, recover_if_forgotten
from node_fsm.steps.resubmission import Resubmission
from node_fsm.steps.split import Neighbours
from node_fsm.steps.tally import check_count, count, is_recorded, read_snapshot, record, results
from node_fsm.steps.tally_chain import (
    check_still_there,
    follow_tallies,
    public_certificates,
    settle,
    tally_on_chain,
    window_open,
)
from node_fsm.steps.wiring import STORAGE_LOST, rewire
from node_fsm.storage.block_copy import BlockCopy
from node_fsm.storage.block_index import CopiedBlock
from node_fsm.storage.workspace import ChainDirectory
from states.base import PhaseState

READY_SECONDS = 60.0

_FOUND = "the results were found in a verified archive, and stand again"


class Tallying(PhaseState):
    """The database may be away while the tally goes onto the chain, whose window is finite; it is needed at the end.

    A count that is disputed stands in the database, and is not archived before the window has closed: until then it is
    made anew once a majority of the leaders is back.
    """

    phase = Phase.TALLYING
    conditions = neighbours.CONDITIONS | private_tally.CONDITIONS | {ConditionType.TALLY_WAITS}

    async def run(self, ctx: Context) -> Decision:
        """Post the results, unless they stand already and are not disputed."""
        try:
            decision = await self._tally(ctx)
            await keep_results(ctx, ctx.chain())
            return decision
        except PermanentError as error:
            if error.reason == STORAGE_LOST and await recover_archive(ctx):
                return Decision(Event.RESULTS_POSTED, _FOUND)
            raise

    async def _tally(self, ctx: Context) -> Decision:
        block0 = ctx.block0_in_work()
        standing, disputed = await _posted(ctx, block0.hash)
        chain, head = await adopt_block0(ctx)
        copy, votes = await open_copy(chain), Resubmission(chain)
        others = Neighbours(ctx, head.leader_ids)
        is_open = window_open(ctx, copy)
        needs_node = is_open or not await _is_complete(chain, copy, ctx)
        if needs_node:
            if not ctx.node.state.running:
                await rewire(ctx, chain, head.leader_ids)
            await ctx.node.ready(READY_SECONDS)
            await settle(ctx, copy, block0.dates.vote_end, votes)
        if not standing and await recover_if_forgotten(ctx):
            return Decision(Event.RESULTS_POSTED, _FOUND)
        if needs_node:
            if not standing:
                disputed = await agree(ctx, others, copy, votes, _patience(block0.dates))
            await note(chain, disputed)
            await record(ctx, chain, copy, _last_counted(copy, block0.dates))
        if standing and not disputed:
            await follow_tallies(ctx, copy, standing)
            await keep_tally(ctx, chain)
            return Decision(Event.RESULTS_POSTED, "the results stand already")
        # A disputed count that stands is made once more: the chain may have turned since an earlier life made it.
        standing = await _count(ctx, chain, copy, votes, others, was_open=is_open)
        if is_open and await noted(chain):
            standing = await _reconsidered(ctx, chain, copy, votes, others) or standing
        proposals = sum(len(result.votes) for result in standing)
        return Decision(
            Event.RESULTS_POSTED, f"the results of {proposals} proposals in {len(standing)} plans are posted"
        )


async def _posted(ctx: Context, block0_hash: str) -> tuple[Sequence[PlanResult], str | None]:
    """The results that stand, and why they are disputed if they are."""
    try:
        return await ctx.database.results(block0_hash), await ctx.database.disputed(block0_hash)
    except TemporaryError:
        return (), None  # then it is asked again when they are posted


async def _count(
    ctx: Context, chain: ChainDirectory, copy: BlockCopy, votes: Resubmission, others: Neighbours, *, was_open: bool
) -> Sequence[PlanResult]:
    """Count the votes, put the tally on the chain as long as that *was open* for it, and post the results."""
    block0 = ctx.block0_in_work()
    last = _last_counted(copy, block0.dates)
    counted = await count(chain)
    plan_ids, production = [plan.id for plan in counted.block0.vote_plans], counted.block0.production
    snapshot = await read_snapshot(chain, plan_ids)
    check_count(counted, snapshot.plans)
    certificates = public_certificates(ctx, counted.block0)
    if was_open:
        await tally_on_chain(ctx, copy, certificates, production=production)
        check_still_there(copy, last)
    await put_back_if_forgotten(ctx, chain)
    private = await PrivateTally.of(ctx, chain, counted, snapshot.printed)
    opened = await private.results(partial(_follow, ctx, copy, others, last))
    if private.certificates and window_open(ctx, copy):
        await tally_on_chain(ctx, copy, certificates | private.certificates, production=production)
        check_still_there(copy, last)
    posted = results(counted, copy, opened)
    untallied = sorted(set(plan_ids) - {result.plan_id for result in posted})
    if not posted:
        raise PermanentError("SharesMissing", f"no plan has a result: members' shares of {', '.join(untallied)} lack")
    missed = [result.plan_id for result in posted if not result.on_chain]
    if missed:
        ctx.conditions.raise_(
            ConditionType.TALLY_WINDOW_MISSED,
            "TallyNotOnChain",
            f"the time to tally ended at {block0.dates.committee_end_time.isoformat()} without a tally in a block"
            f" for {', '.join(missed)}; the results are those of the recount, and of shares that came later",
        )
    await LostVotes(ctx, chain, votes).settle(copy)
    await ctx.database.save_tally_snapshot(block0.hash, snapshot.printed)
    work = ctx.election_in_work()
    why = f"the results of {len(posted)} plans of block 0 {block0.hash}"
    if untallied:
        why += f"; without the shares of all members {', '.join(untallied)} cannot be opened"
    entry = ctx.fact(Fact.RESULTS_WRITTEN, work.election_id, work.election_name, why)
    await ctx.database.post_results(
        work.election_id, block0.hash, posted, entry, disputed=await noted(chain), untallied=untallied
    )
    ctx.metrics.results_posted(ctx.clock.now())
    ctx.database_changed()
    return posted


async def _reconsidered(
    ctx: Context, chain: ChainDirectory, copy: BlockCopy, votes: Resubmission, others: Neighbours
) -> Sequence[PlanResult]:
    """Make a disputed count anew whenever that is called for, until it is disputed no more, or stands as it is.

    The results that were posted last; empty when none were.
    """
    dates = ctx.block0_in_work().dates
    posted: Sequence[PlanResult] = ()
    while verdict := await reconsider(ctx, others, copy, votes, dates.committee_end_time):
        logger.warning("the votes are counted anew: {}", verdict.disputed or "a majority of the leaders is back")
        await note(chain, verdict.disputed)
        await record(ctx, chain, copy, _last_counted(copy, dates))
        posted = await _count(ctx, chain, copy, votes, others, was_open=window_open(ctx, copy))
        if verdict.disputed is None:
            break
    return posted


async def _follow(ctx: Context, copy: BlockCopy, others: Neighbours, last: CopiedBlock) -> None:
    """Follow the chain while members' shares are awaited, as long as a tally may be put on it.

    No vote can come into it any more. But a node that has lost the others has to find them again, and does not by
    itself: else the tally would be on its own part of the chain alone.
    """
    if window_open(ctx, copy):
        await copy.advance(ctx.node.api)
        await others.compare(copy)
        check_still_there(copy, last)


async def _is_complete(chain: ChainDirectory, copy: BlockCopy, ctx: Context) -> bool:
    """Whether everything that the count needs of the node is here."""
    has_ended = copy.tip.date >= ctx.block0_in_work().dates.vote_end
    return has_ended and await is_recorded(chain, copy)


def _last_counted(copy: BlockCopy, dates: ChainDates) -> CopiedBlock:
    """The first block after voting: whatever counts stands in it or before it."""
    block = copy.first_at(dates.vote_end)
    assert block is not None, "the chain was followed past the end of voting"
    return block


def _patience(dates: ChainDates) -> datetime:
    """Until when a tally waits for the other nodes: half of the time that there is, so that enough is left for it."""
    return dates.vote_end_time + (dates.committee_end_time - dates.vote_end_time) / 2
