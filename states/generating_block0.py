"""GeneratingBlock0: block 0 is encoded, checked and published."""

from dataclasses import replace

from node_fsm.core.events import Event, Fact
from node_fsm.core.model import Block0Ref
from node_fsm.core.phases import Phase
from node_fsm.core.view import Decision
from node_fsm.steps.context import Context
from node_fsm.steps.publish import build_block0, specification_in_work
from node_fsm.steps.put_back import require_no_other_chain
from states.base import PhaseState


class GeneratingBlock0(PhaseState):
    """The one publication of an election: from here on every deadline comes from the chain, not from the row."""

    phase = Phase.GENERATING_BLOCK0

    async def run(self, ctx: Context) -> Decision:
        """Encode block 0 from the draft's certificates and publish it, unless it is published already."""
        election = ctx.published_election()
        if election and election.block0:
            work = replace(ctx.election_in_work(), block0=election.block0)
            return Decision(Event.BLOCK0_FOUND, f"block 0 {election.block0.hash} is published already", work)
        lease = ctx.publishing_lease()
        spec = await specification_in_work(ctx)
        draft = ctx.workspace.draft(spec.id)
        publication = await build_block0(ctx, spec, draft, lease.generation)
        await require_no_other_chain(ctx, publication)
        why = f"block 0 {publication.hash} ({publication.size} bytes)"
        await ctx.database.publish_block0(
            publication, draft.block0, ctx.fact(Fact.BLOCK0_WRITTEN, spec.id, spec.name, why)
        )
        ctx.database_changed()
        block0 = Block0Ref(
            hash=publication.hash,
            size=publication.size,
            fingerprint=publication.fingerprint,
            generation=publication.generation,
            dates=publication.dates,
        )
        work = replace(ctx.election_in_work(), block0=block0)
        return Decision(Event.BLOCK0_PUBLISHED, f"block 0 {block0.hash} ({block0.size} bytes) is published", work)
