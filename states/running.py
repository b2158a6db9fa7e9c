"""Running: the node runs on the published block 0, and people vote."""

import asyncio

from node_fsm.block_copy import BlockCopy
from node_fsm.context import Context
from node_fsm.core.phases import Phase, Role
from node_fsm.core.view import Decision
from node_fsm.joining import adopt_block0, require_node
from node_fsm.resubmission import resubmit
from node_fsm.specification_watch import BLOCK0_CONFLICT, SPEC_DRIFT, SpecificationWatch
from states.base import PhaseState

NODE_NOT_RUNNING = "node_not_running"
CHAIN_STALLED = "chain_stalled"


class Running(PhaseState):
    """Neither the database nor S3 is needed while the node runs; what they lack is made up for when they are back."""

    phase = Phase.RUNNING
    conditions = frozenset({NODE_NOT_RUNNING, CHAIN_STALLED, SPEC_DRIFT, BLOCK0_CONFLICT})

    async def run(self, ctx: Context) -> Decision:
        """Never returns: the chain's tip, or a withdrawn or replaced block 0, ends Running."""
        chain, summary = await adopt_block0(ctx)
        await require_node(ctx, chain, summary.leader_ids)
        copy = await asyncio.to_thread(BlockCopy.open, chain.blocks, chain.block0)
        watch = SpecificationWatch(chain)
        slot_duration = summary.clock.slot_duration
        resubmitted = 0
        while True:
            if ctx.policy.role is Role.LEADER0:
                await watch.follow(ctx)
            state = ctx.node.state
            ctx.conditions.set(NODE_NOT_RUNNING, None if state.running else state.problem)
            ctx.conditions.set(CHAIN_STALLED, _stall(ctx))
            if state.running:
                await copy.advance(ctx.node.api)
                ctx.metrics.votes_cast(copy.votes)
                if state.starts != resubmitted:
                    await resubmit(ctx, chain, copy)
                    resubmitted = state.starts
            ctx.progress()
            await ctx.next_look(slot_duration)


def _stall(ctx: Context) -> tuple[str, str] | None:
    since = ctx.node.state.stalled_since
    if since is None:
        return None
    return (
        "NoNewBlock",
        f"the chain has had no block since {since.isoformat()}; check that the other leaders run and reach this one",
    )
