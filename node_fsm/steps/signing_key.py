"""The node's signing key: where it comes from and how it is known to be the right one."""

import re

from node_fsm.core.errors import PermanentError
from node_fsm.core.model import NodeRow
from node_fsm.core.phases import Role
from node_fsm.core.secret import Secret
from node_fsm.ports import Jcli, ObjectStore
from node_fsm.steps.context import Context

KEY_BYTES = 4096
PREFIX = "ed25519_sk1"


async def own_signing_key(ctx: Context) -> Secret | None:
    """This node's key, None for a follower; PermanentError also when the row or the setting for it is missing."""
    return await signing_key(ctx.own_node(), ctx.policy.role, ctx.settings.signing_key_uri, ctx.store, ctx.jcli)


async def signing_key(node: NodeRow, role: Role, uri: str | None, store: ObjectStore, jcli: Jcli) -> Secret | None:
    """The key of *node* at *uri*, None for a follower; PermanentError also when the row or *uri* is missing."""
    if node.leader_id is None:
        if role is Role.NODE:
            return None
        raise PermanentError(
            "LeaderIdMissing",
            f"jorm_nodes.leader_id of {node.hostname} is null, but NODE_FSM_ROLE is leader0; set it with"
            f" `node-fsm node add {node.hostname} --leader-id PUBLIC_KEY`",
        )
    if uri is None:
        raise PermanentError(
            "SettingMissing",
            f"NODE_FSM_SIGNING_KEY_S3_URI is not set, but {node.hostname} is a leader by jorm_nodes.leader_id",
        )
    return await fetch_signing_key(store, jcli, uri, node)


async def fetch_signing_key(store: ObjectStore, jcli: Jcli, uri: str, node: NodeRow) -> Secret:
    """Read the bech32 ed25519 secret key at *uri* and check that its public half is *node*'s leader id.

    PermanentError ``KeyMalformed`` or ``KeyNotThisNodes``; the key appears in neither.
    """
    data = await store.read(uri, KEY_BYTES)
    key = Secret(data.decode("ascii", errors="replace").strip())
    if not re.fullmatch(rf"{PREFIX}[0-9a-z]+", key.reveal()):
        raise PermanentError(
            "KeyMalformed",
            f"the object at NODE_FSM_SIGNING_KEY_S3_URI ({uri}) is not one bech32 ed25519 secret key"
            f" ({PREFIX}...); put there what `jcli key generate --type ed25519` makes",
        )
    try:
        public = await jcli.public_key(key)
    except PermanentError as error:
        if error.reason != "CommandFailed":
            raise
        raise PermanentError(
            "KeyMalformed", f"the key at NODE_FSM_SIGNING_KEY_S3_URI ({uri}) is refused: {error.message}"
        ) from None
    if public != node.leader_id:
        raise PermanentError(
            "KeyNotThisNodes",
            f"the key at NODE_FSM_SIGNING_KEY_S3_URI ({uri}) belongs to {public}, but jorm_nodes.leader_id of"
            f" {node.hostname} is {node.leader_id}; put the right key there, or correct the row with"
            " `node-fsm node add`",
        )
    return key
