"""A connection to a peer."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from node_fsm_sandbox.node.address import Address
from node_fsm_sandbox.node.log import timestamp
from node_fsm_sandbox.node.wire import Connection, Kind

FRAGMENTS = 8
"""So many fragments may wait to be passed on to a peer. What overflows is dropped; the real node connects anew, too."""


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
    fragments: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(FRAGMENTS))
    """What waits to be passed on."""

    async def pass_on(self) -> None:
        """Send the peer the fragments that wait; never returns."""
        while True:
            self.connection.send(Kind.FRAGMENT, await self.fragments.get())

    def shown(self) -> dict[str, Any]:
        """The connection as REST shows it."""
        times = {
            "establishedAt": self.established,
            "lastBlockReceived": self.last_block,
            "lastFragmentReceived": self.last_fragment,
            "lastGossipReceived": self.last_gossip,
        }
        return {"addr": None} | {name: timestamp(time) if time else None for name, time in times.items()}
