"""The node's configuration file: pure functions from our settings to its YAML."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from node_fsm.core.capacity import mempool_entries
from node_fsm.core.listen import Listen
from node_fsm.core.multiaddr import Multiaddr

FRAGMENT_LOG_ENTRIES = 200_000
"""Fragments of which the node can say what became of them. With fewer than come in it forgot some that still waited."""

LEADER_LOG_ENTRIES = 1_024

REST_SETTING = "NODE_FSM_NODE_REST_LISTEN"
P2P_SETTING = "NODE_FSM_NODE_P2P_LISTEN"


def rest_url(listen: Listen) -> str:
    """Where this machine reaches the REST interface of a node that listens there."""
    return f"http://{listen.here}/api"


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """What differs between nodes and starts.

    *public_address* is the node's own ``/ip4/…/tcp/…``; *trusted_peers* are multiaddrs, of leaders only and never
    its own; none makes the node the only one of its chain. *seed* marks the one leader that goes on by itself when it
    reaches no other. *fragment_log* is the directory in which the node keeps every fragment that it receives.
    """

    rest: Listen
    p2p: Listen
    public_address: str
    storage: Path
    fragment_log: Path
    slot_duration: int
    trusted_peers: tuple[str, ...] = ()
    seed: bool = False

    @property
    def alone(self) -> bool:
        """Whether this is the only node of its chain."""
        return not self.trusted_peers

    def to_yaml(self) -> str:
        """The text of the configuration file."""
        return yaml.safe_dump(self._document(), sort_keys=False)

    def _document(self) -> dict[str, Any]:
        p2p: dict[str, Any] = {
            "listen": str(self.p2p),
            "public_address": self.public_address,
            "trusted_peers": [{"address": peer} for peer in self.trusted_peers],
            # On a private network the node would otherwise look connected and receive no block.
            "allow_private_addresses": any(map(_is_private, (self.public_address, *self.trusted_peers))),
            # The defaults (10 s, 30 min) keep a restarted neighbour out for too long.
            "gossip_interval": "2s",
            "policy": {"quarantine_duration": "2s"},
            # After a cut in the network: lost neighbours are looked for this soon, instead of after 5 min of silence.
            "network_stuck_check": "30s",
            "layers": {"topics_of_interest": {"blocks": "high", "messages": "high"}},
        }
        if self.seed:
            p2p["max_bootstrap_attempts"] = 1
        return {
            "skip_bootstrap": self.alone,
            "storage": str(self.storage),
            "rest": {"listen": str(self.rest)},
            "p2p": p2p,
            "mempool": {
                "pool_max_entries": mempool_entries(self.slot_duration),
                "log_max_entries": FRAGMENT_LOG_ENTRIES,
                "persistent_log": {"dir": str(self.fragment_log)},
            },
            "leadership": {"logs_capacity": LEADER_LOG_ENTRIES},
            # Without this section the node traces everything to stderr.
            "log": {"level": "info", "format": "json", "output": "stdout"},
        }


def _is_private(multiaddr: str) -> bool:
    """Whether a multiaddr has an address that is not reachable from everywhere; False for names."""
    try:
        ip = Multiaddr.parse(multiaddr).ip
    except ValueError:  # written into jorm_nodes by hand: the node says what it makes of it
        return False
    return ip is not None and not ip.is_global
