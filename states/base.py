"""What the eight phases have in common."""

from typing import ClassVar

from transitions import State

from node_fsm.core.conditions import ConditionType
from node_fsm.core.phases import Phase
from node_fsm.core.view import Decision
from node_fsm.steps.context import Context


class PhaseState(State):
    """A phase and its task.

    The same task may have been cut off at any point of an earlier life, so that ``run`` may always begin from the
    start. GeneratingBlock0, Tallying and Archiving, which write for others, ask first whether that is done already.
    The others need not: FetchingKey and BuildingVotePlan make anew what nobody else has seen, Reset goes by what is
    left on this machine, and Waiting and Running only bring about what is not so yet.

    ``run`` returns the event that ends the phase, or never returns. What fails is raised: the engine retries.
    """

    phase: ClassVar[Phase]
    conditions: ClassVar[frozenset[ConditionType]] = frozenset()
    """The conditions that are over when this phase is left, unless the next one has them too."""

    def __init__(self) -> None:
        super().__init__(name=self.phase.value)

    async def run(self, ctx: Context) -> Decision:
        """Do the phase's task for ``ctx.work``, the election in work."""
        raise AssertionError(f"{self.phase} has no task of its own")
