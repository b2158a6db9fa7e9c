"""One election from its beginning to its end, in each asked phase of which a fault strikes."""

import asyncio
from collections.abc import Collection, Coroutine, Iterable, Sequence, Set
from typing import Any

from node_fsm.core.phases import Phase
from tests.faults.left_on_disk import left_on_disk
from tests.faults.matrix.ending import Ending, is_over
from tests.faults.matrix.fault import Fault
from tests.faults.matrix.scene import Scene, order
from tests.faults.matrix.table import Cell

FIRST_SECONDS = 20.0
"""What an election takes at least until people have voted, on a machine that is not busy."""

BUSY = 2.0
"""By how much longer all may take on one that is."""

HELD = frozenset(Phase) - {Phase.WAITING, Phase.RUNNING}
"""The phases whose work would be done at once."""


BEFORE_THE_END = HELD - {Phase.TALLYING, Phase.ARCHIVING, Phase.RESET} | {Phase.RUNNING}
"""The phases that must be over when voting ends."""


class Course:
    """How far an election came: which cells kept their promise, and which broke it, and how."""

    def __init__(self) -> None:
        self.kept: set[Cell] = set()
        self.broken: dict[Cell, BaseException] = {}


async def begin(chief: Scene, others: Sequence[Scene], fault: Fault, cells: Collection[Cell]) -> None:
    """Start all services; on return they wait for the election.

    *chief* is leader 0's, which nothing befalls when there are *others*.
    """
    for scene in others or [chief]:
        scene.service.settings |= fault.settings
        scene.hold(HELD & {cell.phase for cell in cells if cell.role == scene.role}, fault.passes)
        await fault.prepare(scene)
    ahead = {cell.phase for cell in cells} & BEFORE_THE_END
    chief.voting = FIRST_SECONDS + BUSY * fault.seconds * len(ahead)
    for scene in (chief, *others):
        await scene.service.start()
        await scene.reach(Phase.WAITING)


async def walk(chief: Scene, others: Sequence[Scene], fault: Fault, cells: Collection[Cell], course: Course) -> None:
    """Hold the election, and have *fault* strike in each of *cells*, in the order in which the election comes to them.

    Raises what was broken first; *course* says where, and is filled as it goes.
    """
    struck = others or [chief]
    await _all(_live(scene, fault, cells, course, {Phase.WAITING}) for scene in struck)
    if chief.election is None:
        await chief.post_election()
    for place, scene in enumerate(others):
        scene.election, scene.ballots = chief.election, chief.ballots[place :: len(others)]
    await _all(_live(scene, fault, cells, course, set(Phase) - {Phase.WAITING}) for scene in struck)
    assert await Ending.of(chief, fault.remains) == fault.ending(chief, cells)
    for scene in others:
        await scene.until(is_over, "nothing is wrong")
        assert left_on_disk(scene.storage) == ()


async def _live(scene: Scene, fault: Fault, cells: Collection[Cell], course: Course, phases: Set[Phase]) -> None:
    """Go with one service through *phases*."""
    own = {cell.phase: cell for cell in cells if cell.role == scene.role}
    for phase in order(scene.role, phases & {*own, Phase.WAITING, Phase.RUNNING}):
        cell = own.get(phase)
        try:
            await scene.reach(phase)
            if phase is Phase.RUNNING:
                await scene.height()  # nothing befalls a node that is not there yet
            if cell:
                await fault.strike(scene, cell)
                course.kept.add(cell)
        except Exception as error:
            if cell:
                course.broken[cell] = error
            raise
        scene.let_go(phase)
        if phase is Phase.RUNNING:
            await scene.vote()


async def _all(lives: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Wait for all of them, and raise the first error there was."""
    for outcome in await asyncio.gather(*lives, return_exceptions=True):
        if outcome:
            raise outcome
