"""How the node is, and what it is kept by: the records of its supervisor."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from node_fsm.core.chain_time import BlockDate
from node_fsm.node.config import Listen


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
    the node runs again. *starts* counts the nodes started in this service's life.
    """

    phase: ProcessPhase
    since: datetime
    starts: int = 0
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


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What every start of the node on this machine has in common.

    *executable* is a path, or a name looked up in PATH; *public_address* is the node's own ``/ip4/…/tcp/…``.
    *stop_grace* is how many seconds it has to end by itself before it is killed, which loses its last blocks.
    """

    executable: str
    rest: Listen
    p2p: Listen
    public_address: str
    stop_grace: float = 10.0


@dataclass(frozen=True, slots=True)
class NodeLimits:
    """Durations in seconds.

    Restarts wait from *first_delay*, doubling up to *longest_delay*, and from the beginning again once a node ran for
    *steady*; what only a person can mend is tried again after *repair_delay*. A node that is *silent* for so long
    hangs; one that still loads its chain after *bootstrap* says so; a chain without a block for *stalled*, and at least
    *stalled_slots* slots, stands still. The node is asked how it is every *start_poll* until it runs, then every slot,
    within *shortest_poll* and *longest_poll*.
    """

    first_delay: float = 1.0
    longest_delay: float = 30.0
    steady: float = 60.0
    repair_delay: float = 60.0
    silent: float = 30.0
    bootstrap: float = 20.0
    stalled: float = 30.0
    stalled_slots: int = 10
    start_poll: float = 0.2
    shortest_poll: float = 0.5
    longest_poll: float = 5.0
