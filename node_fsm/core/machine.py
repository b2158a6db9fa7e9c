"""A table of transitions made into a machine: it holds the present phase and refuses what the table does not have.

Synchronous, without conditions or callbacks, so that nothing in it waits or fails half-way.
"""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from transitions import Machine, State

from node_fsm.core.events import Event
from node_fsm.core.phases import Phase
from node_fsm.core.table import Transition, check, phases_of

StateT = TypeVar("StateT", bound=State)


class IllegalTransition(Exception):  # noqa: N818 - named for what was tried; it is never an error of the outside world
    """*event* has no meaning in *phase*; the phase is unchanged."""

    def __init__(self, phase: Phase, event: Event) -> None:
        super().__init__(f"{phase} knows no event {event}")
        self.phase = phase
        self.event = event


class _Model:
    """What :class:`transitions.Machine` moves; it adds ``trigger`` to it."""

    state: str
    trigger: Callable[[str], bool]


class PhaseMachine(Generic[StateT]):
    """One node's phase, changed by :meth:`fire` alone. Made by :func:`build_machine`."""

    def __init__(self, machine: Machine, model: _Model, states: dict[Phase, StateT]) -> None:
        self._machine = machine
        self._model = model
        self._states = states

    @property
    def phase(self) -> Phase:
        """The present phase."""
        return Phase(self._model.state)

    @property
    def state(self) -> StateT:
        """The state object of the present phase."""
        return self._states[self.phase]

    def fire(self, event: Event) -> Phase:
        """Move as the table says and return the new phase; IllegalTransition when the table has no such row."""
        phase = self.phase
        if not self._machine.get_transitions(event.value, phase.value):
            raise IllegalTransition(phase, event)
        self._model.trigger(event.value)
        return self.phase


def build_machine(table: Sequence[Transition], states: Sequence[StateT]) -> PhaseMachine[StateT]:
    """A machine in Waiting that follows *table*; *states* are named as phases, one for each that the table names.

    ValueError when the table breaks a rule of its module, or a phase has no state.
    """
    check(table)
    by_phase = {Phase(state.name): state for state in states}
    if missing := [phase for phase in phases_of(table) if phase not in by_phase]:
        raise ValueError(f"no state for {', '.join(missing)}")
    model = _Model()
    machine = Machine(
        model=model,
        states=list(states),
        initial=Phase.WAITING.value,
        transitions=[[row.event.value, row.source.value, row.target.value] for row in table],
        auto_transitions=False,
        ignore_invalid_triggers=False,
    )
    return PhaseMachine(machine, model, by_phase)
