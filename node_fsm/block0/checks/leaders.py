"""Whether the nodes make the leaders of a chain."""

from collections.abc import Iterator, Sequence

from node_fsm.chain.address import ed25519_public_key
from node_fsm.core.model import NodeRow

SET_LEADER_ID = "set it with `node-fsm node add HOSTNAME --leader-id PUBLIC_KEY`"


def leader_problems(nodes: Sequence[NodeRow]) -> Iterator[str]:
    """What is wrong with the keys of the leaders."""
    hostnames: dict[str, str] = {}
    for node in nodes:
        if node.leader_id is None:
            continue
        try:
            ed25519_public_key(node.leader_id)
        except ValueError as error:
            yield f"jorm_nodes.leader_id of {node.hostname} is no ed25519 public key ({error}); {SET_LEADER_ID}"
        other = hostnames.setdefault(node.leader_id, node.hostname)
        if other != node.hostname:
            yield (
                f"jorm_nodes.leader_id of {node.hostname} is also that of {other}, but every leader needs a key of"
                f" its own; {SET_LEADER_ID}"
            )


def own_leader_problems(nodes: Sequence[NodeRow], own_leader_id: str | None) -> Iterator[str]:
    """What keeps the node with this ``jorm_nodes.leader_id`` from being leader 0."""
    if own_leader_id is None:
        yield f"jorm_nodes has no leader_id for this node, which creates the chain as leader 0; {SET_LEADER_ID}"
    elif own_leader_id not in {node.leader_id for node in nodes}:
        yield f"jorm_nodes.leader_id of no row is this node's own, {own_leader_id}; {SET_LEADER_ID}"
