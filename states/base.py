"""What the eight phases have in common."""

from typing import ClassVar

from transitions import State

from node_fsm.core.conditions import ConditionType
from node_fsm.core.phases import Phase
from node_fsm.core.view import Decision
from node_fsm.steps.context import Context


class PhaseState(State):
    """A phase and its work.

    ``run`` begins with "is this already done?", since the same work may have been cut off at any point of an
    earlier life. It returns the event that ends the phase, or never returns. What fails is raised: the engine
    retries.
    """

    phase: ClassVar[Phase]
    conditions: ClassVar[frozenset[ConditionType]] = frozenset()
    """The conditions that are over when this phase is left, unless the next one has them too."""

    def __init__(self) -> None:
        super().__init__(name=self.phase.value)

    async def run(self, ctx: Context) -> Decision:
        """Do the phase's work for ``ctx.work``."""
        raise AssertionError(f"{self.phase} has no work of its own")
