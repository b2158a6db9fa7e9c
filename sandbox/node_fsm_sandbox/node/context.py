"""What the parts of a node know of each other, as it comes to be there."""

from collections.abc import Callable
from dataclasses import dataclass

from node_fsm_sandbox.node.chain import Chain
from node_fsm_sandbox.node.leader import LeaderLog
from node_fsm_sandbox.node.mempool import Mempool
from node_fsm_sandbox.node.peers import Peers
from node_fsm_sandbox.node.stats import BlockStats


@dataclass(frozen=True, slots=True)
class Services:
    """What a node has that runs."""

    mempool: Mempool
    peers: Peers
    leader_log: LeaderLog
    stats: BlockStats


@dataclass
class Context:
    """*chain* is there once it is loaded, *services* once the node has caught up with its peers."""

    shut_down: Callable[[], None]
    chain: Chain | None = None
    services: Services | None = None
