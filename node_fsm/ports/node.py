"""The one node process, and the REST interface of what it runs."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol

from node_fsm.core.chain_time import BlockDate, ChainClock
from node_fsm.core.secret import Secret
from node_fsm.ports.answers import Account, FragmentStatus, Posted, VotePlanStatus
from node_fsm.storage.workspace import ChainDirectory


class ProcessPhase(StrEnum):
    """Where the node process is."""

    STOPPED = "stopped"
    """None is wanted, and none is there."""

    STARTING = "starting"
    """Its chain's start, its key, its ports or its first sign of life are awaited."""

    BOOTSTRAPPING = "bootstrapping"
    """It loads its chain, or fetches it from its peers."""

    RUNNING = "running"
    """It answers, and runs the wanted chain. Whether the chain moves is another matter."""

    FAILED = "failed"
    """It ended or was given up; another start follows after a delay."""


class Problem(NamedTuple):
    """Why the node is not well: *reason* is one CamelCase word, *message* says what to do."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """How the node is.

    *since* is the time at which *phase* began. *height*, *tip*, *tip_date* and *last_block_time* are the last that the
    node told. *stalled_since* is when it told of its last new block, once that is too long ago. *problem* stays until
    the node runs again. *starts* counts the nodes started in this service's life, *restarts* those
    of them that took the place of one on the same chain that had ended, or hung, by itself.
    """

    phase: ProcessPhase
    since: datetime
    starts: int = 0
    restarts: int = 0
    block0_hash: str | None = None
    pid: int | None = None
    version: str | None = None
    height: int | None = None
    tip: str | None = None
    tip_date: BlockDate | None = None
    last_block_time: datetime | None = None
    peers_connected: int = 0
    stalled_since: datetime | None = None
    problem: Problem | None = None

    @property
    def running(self) -> bool:
        """Whether the node answers and runs the required chain."""
        return self.phase is ProcessPhase.RUNNING


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
    def state(self) -> NodeStatus: ...
    @property
    def api(self) -> NodeApi: ...

    def require(self, run: ChainRun) -> None:
        """Say which chain must run; may be said again at any time."""
        ...

    def overtaken(self, by_others: bool) -> None:
        """Say whether others go on without this node, or none is connected: a standstill is then its own fault."""
        ...

    def restart(self, why: str) -> None:
        """Have the node end and start anew, if it runs: what it holds in memory alone is then gone."""
        ...

    async def ready(self, timeout: float) -> None:
        """Wait until it runs; TemporaryError saying what holds it up after *timeout* seconds."""
        ...

    async def check_ports(self) -> None:
        """See that its ports can be had, when none runs; PermanentError or TemporaryError names the setting."""
        ...

    async def save_records(self, directory: Path) -> None:
        """Write what the node says at the end of an election into files of *directory*, each answer as it printed it.

        They are as large as the chain has accounts and fragments, and are not held in memory. Raises OSError, too.
        """
        ...

    async def version(self) -> str:
        """The executable's full version."""
        ...

    async def stop(self) -> None:
        """Stop the node and wait until nothing of it is left."""
        ...
