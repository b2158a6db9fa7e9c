"""Nodes as the live view sees them."""

from datetime import timedelta

from node_fsm_sandbox.demo.moment import NodeView

from node_fsm.core.phases import Phase, Role
from node_fsm.sidecar.answers import HeldCondition, NextDeadline, State
from tests.support.drawn import NOW


def state(phase: Phase, election: str | None = None, conditions: tuple[tuple[str, str], ...] = ()) -> State:
    """An answer of leader 0; *conditions* are types and reasons."""
    return State(
        phase=phase,
        since=NOW,
        role=Role.LEADER0,
        hostname="leader0",
        election=election,
        block0_hash=None,
        next_deadline=NextDeadline(name="voting_end", at=NOW + timedelta(seconds=12), election="first"),
        conditions=[HeldCondition(type=type_, reason=reason, message="", since=NOW) for type_, reason in conditions],
        last_error=None,
    )


def node(answer: State | None, *, restarts: int = 0, height: int | None = None, peers: int | None = None) -> NodeView:
    """Leader 0 as it is seen."""
    return NodeView("leader0", restarts, answer, height, peers)
