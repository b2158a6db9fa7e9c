"""FetchingKey: the signing key is read and known to be this node's."""

from dataclasses import replace

from node_fsm.core.errors import PermanentError
from node_fsm.core.events import Event
from node_fsm.core.phases import Phase, Role
from node_fsm.core.view import Decision
from node_fsm.steps.context import Context
from node_fsm.steps.signing_key import fetch_signing_key
from states.base import PhaseState


class FetchingKey(PhaseState):
    """The key stays in memory; it is read anew before each start of the node, so that it can be rotated."""

    phase = Phase.FETCHING_KEY

    async def run(self, ctx: Context) -> Decision:
        """Fetch the key; followers need none."""
        node = ctx.own_node()
        if ctx.policy.role is Role.NODE and node.leader_id is None:
            ctx.signing_key = None  # it may have been a leader a moment ago
            return Decision(Event.KEY_NOT_NEEDED, f"{node.hostname} is a follower: its jorm_nodes.leader_id is null")
        if node.leader_id is None:
            raise PermanentError(
                "LeaderIdMissing",
                f"jorm_nodes.leader_id of {node.hostname} is null, but NODE_FSM_ROLE is leader0; set it with"
                f" `node-fsm node add {node.hostname} --leader-id PUBLIC_KEY`",
            )
        if ctx.settings.signing_key_uri is None:
            raise PermanentError(
                "SettingMissing",
                f"NODE_FSM_SIGNING_KEY_S3_URI is not set, but {node.hostname} is a leader by jorm_nodes.leader_id",
            )
        ctx.signing_key = await fetch_signing_key(ctx.store, ctx.jcli, ctx.settings.signing_key_uri, node)
        election = ctx.published_election()
        if ctx.policy.role is Role.LEADER0 and election and election.block0:
            work = replace(ctx.election_in_work(), block0=election.block0)
            return Decision(Event.BLOCK0_FOUND, f"the key fits, and block 0 of {election.name} is published", work)
        return Decision(Event.KEY_FETCHED, f"the key of {node.hostname} is its own")
