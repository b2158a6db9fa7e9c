"""The one node process, and the REST interface of what it runs."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from node_fsm.core.chain_time import BlockDate, ChainClock
from node_fsm.core.secret import Secret
from node_fsm.ports.answers import Account, FragmentStatus, Posted, VotePlanStatus
from node_fsm.storage.workspace import ChainDirectory


class NodeState(Protocol):
    """How the node is; what is not known is None."""

    @property
    def running(self) -> bool:
        """Whether it answers and runs the required chain."""
        ...

    @property
    def starts(self) -> int:
        """How often a node has been started."""
        ...

    @property
    def pid(self) -> int | None: ...
    @property
    def block0_hash(self) -> str | None: ...
    @property
    def height(self) -> int | None: ...
    @property
    def tip(self) -> str | None: ...
    @property
    def tip_date(self) -> BlockDate | None: ...
    @property
    def last_block_time(self) -> datetime | None: ...
    @property
    def peers_connected(self) -> int: ...
    @property
    def stalled_since(self) -> datetime | None: ...
    @property
    def problem(self) -> tuple[str, str] | None:
        """(reason, message) of what keeps it from running."""
        ...


class NodeApi(Protocol):
    """The node's REST interface, as far as phases use it."""

    async def next_ids(self, block_id: str, count: int) -> list[str] | None: ...
    async def block(self, block_id: str) -> bytes | None: ...
    async def account(self, public_key: str) -> Account | None: ...
    async def vote_plans(self) -> dict[str, VotePlanStatus]: ...
    async def post_fragment(self, raw: bytes) -> Posted: ...
    async def post_fragments(self, fragments: Sequence[bytes]) -> tuple[Posted, ...]: ...
    async def fragment_statuses(self, fragment_ids: Collection[str]) -> dict[str, FragmentStatus]: ...


@dataclass(frozen=True, slots=True)
class ChainRun:
    """The chain that the node must run.

    *directory* takes its files; *peers* are multiaddrs of other leaders; *seed* marks the one node that goes on
    by itself when it reaches none of them. *secret* is asked before every start, None for a follower. *held* says
    whether the node's store had blocks when this was decided: a seed that lost them since must not go on.
    """

    directory: ChainDirectory
    block0_hash: str
    clock: ChainClock
    peers: tuple[str, ...]
    seed: bool
    secret: Callable[[], Awaitable[Secret | None]] = field(compare=False)
    held: bool = field(compare=False)


class Node(Protocol):
    """The one node process, kept by its supervisor."""

    @property
    def state(self) -> NodeState: ...
    @property
    def api(self) -> NodeApi: ...

    def require(self, run: ChainRun) -> None:
        """Say which chain must run; may be said again at any time."""
        ...

    def overtaken(self, by_others: bool) -> None:
        """Say whether other nodes have blocks of the chain that this one lacks: a standstill is then its own fault."""
        ...

    async def ready(self, timeout: float) -> None:
        """Wait until it runs; TemporaryError saying what holds it up after *timeout* seconds."""
        ...

    async def records(self) -> dict[str, bytes]:
        """What the node says at the end of an election, by file name, each answer as it printed it."""
        ...

    async def version(self) -> str:
        """The executable's full version."""
        ...

    async def stop(self) -> None:
        """Stop the node and wait until nothing of it is left."""
        ...
