"""FetchingKey: the signing key is read and known to be this node's."""

from dataclasses import replace

from node_fsm.core.errors import TemporaryError
from node_fsm.core.events import Event
from node_fsm.core.phases import Phase, Role
from node_fsm.core.view import UNKNOWN, Decision
from node_fsm.steps.context import Context
from node_fsm.steps.put_back import put_back_forgotten
from node_fsm.steps.signing_key import own_signing_key
from states.base import PhaseState


class FetchingKey(PhaseState):
    """The key stays in memory; it is read anew before each start of the node, so that it can be rotated.

    A block 0 that the database has forgotten is put back here: nothing else is begun before.
    """

    phase = Phase.FETCHING_KEY

    async def run(self, ctx: Context) -> Decision:
        """Fetch the key; followers need none."""
        node = ctx.own_node()
        ctx.signing_key = await own_signing_key(ctx)
        if ctx.signing_key is None:  # it may have been a leader a moment ago
            return Decision(Event.KEY_NOT_NEEDED, f"{node.hostname} is a follower: its jorm_nodes.leader_id is null")
        election = ctx.published_election()
        if ctx.view and ctx.view.local is UNKNOWN:
            raise TemporaryError("DiskUnusable", "what is in NODE_FSM_STORAGE_DIR is not known; waiting for that")
        if ctx.policy.role is Role.LEADER0 and election:
            block0 = await put_back_forgotten(ctx, election) if election.forgotten else election.block0
            if block0:
                work = replace(ctx.election_in_work(), block0=block0)
                return Decision(Event.BLOCK0_FOUND, f"the key fits, and block 0 of {election.name} is published", work)
        return Decision(Event.KEY_FETCHED, f"the key of {node.hostname} is its own")
