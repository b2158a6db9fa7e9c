"""A connection to a peer."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from node_fsm_sandbox.node.address import Address
from node_fsm_sandbox.node.log import timestamp
from node_fsm_sandbox.node.wire import Connection


@dataclass(eq=False, slots=True)
class Link:
    """A connection to a peer; *address* is where it takes calls, None when it told none that this node hears."""

    connection: Connection
    id: str
    address: Address | None
    established: datetime
    last_block: datetime | None = None
    last_fragment: datetime | None = None
    last_gossip: datetime | None = None
    catching_up: bool = False

    def shown(self) -> dict[str, Any]:
        """The connection as REST shows it."""
        times = {
            "establishedAt": self.established,
            "lastBlockReceived": self.last_block,
            "lastFragmentReceived": self.last_fragment,
            "lastGossipReceived": self.last_gossip,
        }
        return {"addr": None} | {name: timestamp(time) if time else None for name, time in times.items()}
