"""The machine follows its table exactly, whatever it is given."""

from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from transitions import State

from node_fsm.core.events import Event
from node_fsm.core.machine import IllegalTransition, PhaseMachine, build_machine
from node_fsm.core.phases import Phase, Role
from node_fsm.core.table import LEADER0, NODE, TABLES, Transition, phases_of


def machine_of(table: Sequence[Transition]) -> PhaseMachine[State]:
    return build_machine(table, [State(name=phase.value) for phase in Phase])


def machine_in(phase: Phase, table: Sequence[Transition]) -> PhaseMachine[State]:
    """A machine led to *phase* by events of the table."""
    paths: dict[Phase, list[Event]] = {Phase.WAITING: []}
    while phase not in paths:
        paths |= {row.target: [*paths[row.source], row.event] for row in table if row.source in paths}
    machine = machine_of(table)
    for event in paths[phase]:
        machine.fire(event)
    return machine


CELLS = [(role, phase, event) for role in Role for phase, event in product(phases_of(TABLES[role]), Event)]


@pytest.mark.parametrize(("role", "phase", "event"), CELLS, ids=str)
def test_an_event_is_accepted_exactly_when_the_table_has_it(role: Role, phase: Phase, event: Event) -> None:
    machine = machine_in(phase, TABLES[role])
    targets = [row.target for row in TABLES[role] if (row.source, row.event) == (phase, event)]
    if targets:
        assert [machine.fire(event)] == targets
        assert [machine.phase] == targets
    else:
        with pytest.raises(IllegalTransition, match=f"{phase} knows no event {event}") as refusal:
            machine.fire(event)
        assert (refusal.value.phase, refusal.value.event) == (phase, event)
        assert machine.phase is phase


def test_a_machine_begins_in_waiting_and_carries_the_given_states() -> None:
    states = [State(name=phase.value) for phase in phases_of(NODE)]
    machine = build_machine(NODE, states)
    assert machine.phase is Phase.WAITING
    assert machine.state is states[0]
    machine.fire(Event.BLOCK0_POSTED)
    assert machine.state is states[1]


def test_a_refused_event_leaves_the_machine_usable() -> None:
    machine = machine_of(LEADER0)
    with pytest.raises(IllegalTransition):
        machine.fire(Event.ARCHIVED)
    assert machine.fire(Event.ELECTION_DUE) is Phase.FETCHING_KEY


def test_two_machines_share_nothing() -> None:
    states = [State(name=phase.value) for phase in Phase]
    one, other = build_machine(LEADER0, states), build_machine(LEADER0, states)
    one.fire(Event.ELECTION_DUE)
    assert other.phase is Phase.WAITING


def test_a_phase_without_a_state_is_refused() -> None:
    missing = {Phase.TALLYING, Phase.ARCHIVING}
    with pytest.raises(ValueError, match="no state for Tallying, Archiving"):
        build_machine(LEADER0, [State(name=phase.value) for phase in Phase if phase not in missing])


def test_a_state_that_is_no_phase_is_refused() -> None:
    with pytest.raises(ValueError, match="Sleeping"):
        build_machine(NODE, [State(name=name) for name in [*map(str, Phase), "Sleeping"]])


def test_a_table_that_breaks_a_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="two transitions"):
        machine_of([*NODE, NODE[0]])


class MachineAgainstModel(RuleBasedStateMachine):
    """Any sequence of events leads the machine where a plain dict says."""

    role: Role

    def __init__(self) -> None:
        super().__init__()
        self.machine = machine_of(TABLES[self.role])
        self.targets = {(row.source, row.event): row.target for row in TABLES[self.role]}
        self.phase = Phase.WAITING

    @rule(event=st.sampled_from(Event))
    def any_event(self, event: Event) -> None:
        expected = self.targets.get((self.phase, event))
        if expected is None:
            with pytest.raises(IllegalTransition):
                self.machine.fire(event)
        else:
            self.phase = self.machine.fire(event)
            assert self.phase is expected

    @rule(data=st.data())
    def known_event(self, data: st.DataObject) -> None:
        """An event of the present phase, so that long lives are tried too."""
        event = data.draw(st.sampled_from([event for source, event in self.targets if source is self.phase]))
        self.any_event(event)

    @invariant()
    def agrees(self) -> None:
        assert self.machine.phase is self.phase
        assert self.machine.state.name == self.phase


class Leader0AgainstModel(MachineAgainstModel):
    role = Role.LEADER0


class NodeAgainstModel(MachineAgainstModel):
    role = Role.NODE


TestLeader0AgainstModel = Leader0AgainstModel.TestCase
TestNodeAgainstModel = NodeAgainstModel.TestCase
