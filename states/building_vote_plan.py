"""BuildingVotePlan: proposals become vote plans and their signed certificates."""

from node_fsm.aio.threads import LONG, in_thread
from node_fsm.core.events import Event
from node_fsm.core.phases import Phase
from node_fsm.core.view import Decision
from node_fsm.steps.context import Context
from node_fsm.steps.publish import build_vote_plans, specification_in_work
from states.base import PhaseState


class BuildingVotePlan(PhaseState):
    """Everything specified is checked here once more; nothing leaves this machine yet."""

    phase = Phase.BUILDING_VOTE_PLAN

    async def run(self, ctx: Context) -> Decision:
        """Write the plans and their certificates into the election's draft."""
        spec = await specification_in_work(ctx)
        draft = await in_thread(LONG, ctx.workspace.new_draft, spec.id)
        plans = await build_vote_plans(ctx, spec, draft)
        proposals = sum(len(plan.proposals) for plan in plans)
        return Decision(Event.VOTE_PLAN_BUILT, f"{len(plans)} vote plans with {proposals} proposals are signed")
