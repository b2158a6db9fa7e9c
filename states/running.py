"""Running: the node runs on the published block 0, and people vote."""

from typing import NamedTuple

from node_fsm.core.conditions import ConditionType
from node_fsm.core.errors import ServiceError
from node_fsm.core.phases import Phase, Role
from node_fsm.core.view import UNKNOWN, Decision
from node_fsm.steps import split as neighbours
from node_fsm.steps.adopt import adopt_block0, open_copy
from node_fsm.steps.context import Context
from node_fsm.steps.edits import SpecificationWatch
from node_fsm.steps.lost_votes import LostVotes
from node_fsm.steps.overdue import Overdue, begin_no_archived_chain_anew
from node_fsm.steps.recover import recover_archive
from node_fsm.steps.resubmission import Resubmission
from node_fsm.steps.split import Neighbours
from node_fsm.steps.wiring import STORAGE_LOST, require_node, rewire
from node_fsm.storage.block_copy import BlockCopy
from node_fsm.storage.workspace import ChainDirectory
from states.base import PhaseState


class Running(PhaseState):
    """Neither the database nor S3 is needed while the node runs; what they lack is made up for when they are back."""

    phase = Phase.RUNNING
    conditions = neighbours.CONDITIONS | {
        ConditionType.NODE_NOT_RUNNING,
        ConditionType.CHAIN_STALLED,
        ConditionType.SPEC_DRIFT,
    }

    def __init__(self) -> None:
        super().__init__()
        self._overdue = Overdue()

    async def run(self, ctx: Context) -> Decision:
        """The chain's tip, or a withdrawn or replaced block 0, ends Running. Returns only when neither ever comes."""
        chain, specification = _Chain(ctx), SpecificationWatch(ctx.chain())
        is_leader0 = ctx.policy.role is Role.LEADER0
        while True:
            try:
                await chain.follow()
            except ServiceError as error:
                if is_leader0:
                    await specification.follow(ctx)  # an election whose chain cannot run can still be cancelled
                    if error.reason == STORAGE_LOST:
                        await recover_archive(ctx)
                    if given_up := self._overdue.follow(ctx):
                        return given_up
                raise
            if is_leader0:
                if given_up := self._overdue.follow(ctx):
                    return given_up
                await specification.follow(ctx)  # last: what the database refuses does not hold up the chain
            ctx.progress()
            await ctx.next_look(ctx.block0_in_work().dates.clock.slot_duration)


class _Chain:
    """The node on the published block 0, and the copy of its blocks."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._joined: _Joined | None = None
        self._wired_by: object = None
        """The reading of the database by which the node was last wired."""

    async def follow(self) -> None:
        """Copy the blocks that are new, and while people vote see to it that what they post comes into one."""
        ctx = self._ctx
        joined = self._joined = self._joined or await self._join()
        state, copy = ctx.node.state, joined.copy
        ctx.conditions.set(ConditionType.NODE_NOT_RUNNING, None if state.running else state.problem)
        ctx.conditions.set(ConditionType.CHAIN_STALLED, _stall(ctx))
        if not state.running:
            joined.neighbours.silence()
            await rewire(ctx, joined.chain, joined.leaders)
            return
        if ctx.overview() is not self._wired_by:
            self._wired_by = ctx.overview()
            await require_node(ctx, joined.chain, joined.leaders)  # for its next start, when the database may be away
        await copy.advance(ctx.node.api)
        ctx.count_votes(copy.votes)
        await joined.resubmission.follow(ctx, copy)
        await joined.neighbours.compare(copy)
        others = joined.neighbours
        await joined.lost_votes.exchange(copy, others.parted_behind, alone=others.alone)

    async def _join(self) -> "_Joined":
        ctx = self._ctx
        chain, head = await adopt_block0(ctx)
        if ctx.policy.role is Role.LEADER0:
            await begin_no_archived_chain_anew(ctx, chain)
        await require_node(ctx, chain, head.leader_ids)
        copy = await open_copy(chain)
        votes = Resubmission(chain)
        return _Joined(
            *(chain, head.leader_ids, copy, votes, LostVotes(ctx, chain, votes), Neighbours(ctx, head.leader_ids))
        )


class _Joined(NamedTuple):
    """The chain that the node was told to run, with the leaders in its block 0."""

    chain: ChainDirectory
    leaders: tuple[str, ...]
    copy: BlockCopy
    resubmission: Resubmission
    lost_votes: LostVotes
    neighbours: Neighbours


def _stall(ctx: Context) -> tuple[str, str] | None:
    since = ctx.node.state.stalled_since
    if since is None or _is_counted(ctx):
        return None
    return (
        "NoNewBlock",
        f"the chain has had no block since {since.isoformat()}; check that the other leaders run and reach this one",
    )


def _is_counted(ctx: Context) -> bool:
    """Whether results stand: then leader 0 stops its node, and the chain may stand still."""
    overview = ctx.overview()
    election = None if overview is UNKNOWN else overview.election(ctx.election_in_work().election_id)
    return election is not None and election.results_posted
