"""Signs of life of a node, what their absence means, and when it is started again. Times are monotonic seconds."""

from node_fsm.core.backoff import Backoff
from node_fsm.node.exit import Exit, Remedy
from node_fsm.node.limits import NodeLimits


def start_delay(limits: NodeLimits, remedy: Remedy, failures: int) -> float:
    """Seconds until the next start, after *failures* in a row."""
    if remedy is not Remedy.RESTART:
        return limits.repair_delay
    return Backoff(limits.first_delay, limits.longest_delay).delay(failures)


class Vitals:
    """When a node last answered and its chain last moved; kept over restarts of a node on the same chain."""

    def __init__(self, limits: NodeLimits, slot_duration: int) -> None:
        self._limits = limits
        self._patience = max(limits.stalled, limits.stalled_slots * slot_duration)
        self._answered = 0.0
        self._running_since: float | None = None
        self._tip: str | None = None
        self._moved = 0.0

    def starting(self) -> None:
        """The node is about to be started."""
        self._running_since = None

    def answered(self, now: float) -> None:
        """The node was started, or gave any answer."""
        self._answered = now

    def running(self, tip: str, now: float) -> None:
        """The node runs, and its newest block is *tip*."""
        self._answered = now
        if self._running_since is None:
            self._running_since = now
        if tip != self._tip:
            self._tip = tip
            self._moved = now

    def steady(self, now: float) -> bool:
        """Whether this node ran for long enough to call its end a new failure rather than the last one again."""
        return self._running_since is not None and now - self._running_since >= self._limits.steady

    def stalled(self, now: float) -> float | None:
        """For how many seconds the chain has stood still, once that is too long."""
        idle = now - self._moved
        return idle if self._tip is not None and idle >= self._patience else None

    def given_up(self, now: float, *, own_fault: bool) -> Exit | None:
        """Why the node must be started anew.

        A chain that stands still may be the fault of others, unless *own_fault* says that it is not: the node is the
        only one, or others go on. Its chance is counted from the start: it is restarted once per period.
        """
        silence = now - self._answered
        if silence >= self._limits.silent:
            return Exit(Remedy.RESTART, "NodeHung", f"the node has not answered for {silence:.0f} s")
        idle = self.stalled(now)
        if own_fault and idle and self._running_since is not None and now - self._running_since >= self._patience:
            return Exit(Remedy.RESTART, "ChainStandsStill", f"the node has had no new block for {idle:.0f} s")
        return None
