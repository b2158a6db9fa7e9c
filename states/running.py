"""Running: the node runs on the published block 0, and people vote."""

import asyncio

from node_fsm.block_copy import BlockCopy
from node_fsm.context import Context
from node_fsm.core.errors import ServiceError
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
        chain, specification = _Chain(ctx), SpecificationWatch(ctx.chain())
        is_leader0 = ctx.policy.role is Role.LEADER0
        while True:
            try:
                await chain.follow()
            except ServiceError:
                if is_leader0:
                    await specification.follow(ctx)  # an election whose chain cannot run can still be cancelled
                raise
            if is_leader0:
                await specification.follow(ctx)  # last: what the database refuses does not hold up the chain
            ctx.progress()
            await ctx.next_look(ctx.block0_in_work().dates.clock.slot_duration)


class _Chain:
    """The node on the published block 0, and the copy of its blocks."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._copy: BlockCopy | None = None
        self._resubmitted = 0
        """The start of the node after which votes were last posted again."""

    async def follow(self) -> None:
        """Copy the blocks that are new, and after each start of the node post lost votes again."""
        ctx = self._ctx
        self._copy = self._copy or await self._join()
        state = ctx.node.state
        ctx.conditions.set(NODE_NOT_RUNNING, None if state.running else state.problem)
        ctx.conditions.set(CHAIN_STALLED, _stall(ctx))
        if not state.running:
            return
        await self._copy.advance(ctx.node.api)
        ctx.metrics.votes_cast(self._copy.votes)
        if state.starts != self._resubmitted:
            await resubmit(ctx, ctx.chain(), self._copy)
            self._resubmitted = state.starts

    async def _join(self) -> BlockCopy:
        chain, summary = await adopt_block0(self._ctx)
        await require_node(self._ctx, chain, summary.leader_ids)
        return await asyncio.to_thread(BlockCopy.open, chain.blocks, chain.block0)


def _stall(ctx: Context) -> tuple[str, str] | None:
    since = ctx.node.state.stalled_since
    if since is None:
        return None
    return (
        "NoNewBlock",
        f"the chain has had no block since {since.isoformat()}; check that the other leaders run and reach this one",
    )
