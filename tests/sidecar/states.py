"""A service's state that tests can set."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from node_fsm.core.conditions import Condition, ConditionType
from node_fsm.core.phases import Phase, Role
from node_fsm.core.view import Deadline
from node_fsm.engine.status import ServiceStatus

SINCE = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)

RUNNING = ServiceStatus(
    phase=Phase.RUNNING,
    since=SINCE,
    role=Role.LEADER0,
    hostname="leader0",
    election="fund9",
    block0_hash="ab" * 32,
    next_deadline=Deadline("voting_end", datetime(2026, 3, 8, 12, 0, tzinfo=UTC), "fund9"),
    conditions=(Condition(ConditionType.SPEC_DRIFT, "TimesChanged", "voting_end differs; put it back", SINCE),),
    last_error=None,
    last_tick=1000.0,
    database_known=True,
    node_problems=(),
)


@dataclass
class Source:
    """Hands out a state, changed at will."""

    state: ServiceStatus = field(default=RUNNING)

    def status(self) -> ServiceStatus:
        return self.state

    def change(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)
