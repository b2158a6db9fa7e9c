"""What the sidecar tells about the service, and where it has it from."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from node_fsm.core.conditions import Condition
from node_fsm.core.phases import NODE_MUST_RUN, Phase, Role
from node_fsm.core.view import Deadline


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """The service at one moment.

    *election* is the name of the one in work; *last_error* the present failure of the phase's work; *last_tick* when
    the engine last looked at the world, by the monotonic clock; *node_problems* says why the node is not ready, empty
    when it is.
    """

    phase: Phase
    since: datetime
    role: Role
    hostname: str
    election: str | None
    block0_hash: str | None
    next_deadline: Deadline | None
    conditions: tuple[Condition, ...]
    last_error: str | None
    last_tick: float
    node_problems: tuple[str, ...]

    @property
    def unready(self) -> tuple[str, ...]:
        """Why the service does not do what its phase asks of it; empty when it does."""
        return self.node_problems if self.phase in NODE_MUST_RUN else ()


class StateSource(Protocol):
    """The engine, as the sidecar sees it."""

    def status(self) -> ServiceStatus:
        """The present state; neither waits nor fails."""
        ...
