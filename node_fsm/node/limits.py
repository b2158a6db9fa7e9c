"""What the node of this machine is kept by: settings that all its starts share, and the supervisor's patience."""

from dataclasses import dataclass

from node_fsm.core.listen import Listen


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
