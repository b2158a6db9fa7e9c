"""What a fault of the matrix is, and the promises that several of them have in common."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import ClassVar

from node_fsm.core.conditions import ConditionType
from node_fsm.core.phases import Phase
from tests.faults.matrix.ending import Ending
from tests.faults.matrix.scene import POLL_SECONDS, WITH_NODE, Scene
from tests.faults.matrix.table import Cell

WATCHED_SECONDS = 3.0
"""So long a promise is watched while the fault lasts: a few looks of the service, and attempts of its task."""

HEARTBEAT_SECONDS = 10.0
"""A heartbeat that takes longer would count as none; on a busy machine it may take long."""


class Fault(ABC):
    """One row of the matrix."""

    id: ClassVar[str]
    seconds: ClassVar[float] = 10.0
    """How long it lasts in one phase, roughly, on a machine that is not busy."""

    alone: ClassVar[frozenset[Phase]] = frozenset()
    """The phases that need an election of their own, since the fault changes how it ends."""

    passes: ClassVar[int] = 1
    """How often the service is held at the beginning of a phase, if it comes there again."""

    own_postgres: ClassVar[bool] = False
    """Whether it breaks the server itself, which others share else."""

    settings: ClassVar[dict[str, str]] = {}
    """What the service is given beside its other settings."""

    remains: ClassVar[frozenset[ConditionType]] = frozenset()
    """What is still told of when the election is over."""

    async def prepare(self, scene: Scene) -> None:  # noqa: B027 - most need nothing
        """What must be so before the service is started; pytest.skip says why it cannot be made so here."""

    @abstractmethod
    async def strike(self, scene: Scene, cell: Cell) -> None:
        """Have the fault befall the service in the phase of *cell*, see that what is promised holds, and end the fault.

        The service is held at the beginning of that phase: the fault is there before its work, if it lets it go.
        AssertionError says what does not hold.
        """

    def ending(self, scene: Scene, cells: Collection[Cell]) -> Ending:
        """How the election must end after all."""
        return Ending.undisturbed(scene)


async def begins(scene: Scene, phase: Phase, *known_by: ConditionType) -> None:
    """The work of *phase* begins once the fault is *known_by* conditions: in Running a vote is cast."""
    for condition in known_by:
        await scene.condition(condition)
    if phase is Phase.RUNNING:
        await scene.vote(1)
    scene.let_go(phase)


async def stays(scene: Scene, phase: Phase, *conditions: ConditionType, reason: str | None = None) -> None:
    """While a fault lasts: the phase stays, *conditions* say why, and the node goes on undisturbed.

    *reason* is that of all of them.
    """
    height = await scene.height() if phase in WITH_NODE else 0
    before = scene.node_process()
    for condition in conditions:
        held = await scene.condition(condition, reason)
        assert held.reason, held
        assert held.message, held
    deadline = time.monotonic() + WATCHED_SECONDS
    while time.monotonic() < deadline:
        began = time.monotonic()
        await scene.heartbeat()
        assert time.monotonic() - began < HEARTBEAT_SECONDS, "the heartbeat is slow"
        state = await scene.state()
        assert state.phase is phase, f"{phase} was left for {state.phase}"
        await asyncio.sleep(POLL_SECONDS)
    if phase in WITH_NODE:
        assert scene.node_process() == before, "the node is another one"
        assert await scene.height() > height, "the node's chain stands still"


async def recovers(scene: Scene, *conditions: ConditionType) -> None:
    """After a fault: nothing is said of it any more."""
    await scene.until(
        lambda state: not {held.type for held in state.conditions} & set(conditions), f"{conditions} are over"
    )
