"""A drawn election, and nodes as the live view sees them."""

from datetime import UTC, datetime, timedelta
from random import Random

from node_fsm_sandbox.demo.drawing import DrawnElection, draw_election, draw_voters
from node_fsm_sandbox.demo.schedule import schedule
from node_fsm_sandbox.demo.snapshot import NodeView

from node_fsm.core.phases import Phase, Role
from node_fsm.sidecar.answers import HeldCondition, NextDeadline, State

NOW = datetime(2030, 1, 31, 12, 0, 0, 400_000, tzinfo=UTC)


def drawn(name: str = "first", seed: int = 1) -> DrawnElection:
    """An election, the same for the same seed but for the keys."""
    random = Random(seed)
    return draw_election(name, schedule(NOW)[0], draw_voters(random), random)


def state(phase: Phase, election: str | None = None, conditions: tuple[tuple[str, str], ...] = ()) -> State:
    """An answer of leader 0; *conditions* are types and reasons."""
    return State(
        phase=phase,
        since=NOW,
        role=Role.LEADER0,
        hostname="leader0",
        election=election,
        block0_hash=None,
        next_deadline=NextDeadline(name="voting_end", at=NOW + timedelta(seconds=12)),
        conditions=[HeldCondition(type=type_, reason=reason, message="", since=NOW) for type_, reason in conditions],
        last_error=None,
    )


def node(answer: State | None, *, restarts: int = 0, height: int | None = None, peers: int | None = None) -> NodeView:
    """Leader 0 as it is seen."""
    return NodeView("leader0", restarts, answer, height, peers)
