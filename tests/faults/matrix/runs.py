"""The walks of a test process: those that are asked for, side by side."""

import asyncio
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import NamedTuple

from _pytest.outcomes import Skipped
from node_fsm_sandbox.election.part import follower, leader, leader0

from node_fsm.core.phases import Phase
from tests.faults.matrix import simulated
from tests.faults.matrix.faults import FAULTS
from tests.faults.matrix.scene import Place
from tests.faults.matrix.simulated import SIMULATED
from tests.faults.matrix.table import Cell
from tests.faults.matrix.walk import Course, begin, walk

SIDE_BY_SIDE = 12
"""An election mostly waits, for the clock and for the end of faults."""

GROUPS = 6
"""All cells of a group are run by one test process, so that they wait side by side: twice as many as processes."""


class Walk(NamedTuple):
    """Which cells share an election: those of a fault, and of one phase when the fault is for one alone.

    Leader 0 is alone on its chain; the other roles are on one of a leader 0 that nothing befalls.
    """

    fault: str
    roles: tuple[str, ...]
    alone: Phase | None

    @classmethod
    def of(cls, cell: Cell) -> "Walk":
        """The walk in which *cell* is run."""
        roles = (cell.role,) if cell.role == "leader0" else ("leader", "follower")
        return cls(cell.fault, roles, cell.phase if cell.phase in FAULTS[cell.fault].alone else None)

    def __str__(self) -> str:
        return "-".join([self.fault, *self.roles, *([self.alone] if self.alone else [])])


MakePlace = Callable[[Walk], AbstractAsyncContextManager[Place]]
"""Makes the place of a walk."""


def group_of(fault: str) -> str:
    """In which group the cells of *fault* are."""
    return f"matrix {[*FAULTS, *SIMULATED].index(fault) % GROUPS}"


@dataclass
class _Running:
    course: Course = field(default_factory=Course)
    task: "asyncio.Task[None] | None" = None


class Runs:
    """Runs the walks of *cells*: those of a group begin together, when the first of them is asked for.

    A process that tests *alone* begins with all of them.
    """

    def __init__(self, cells: Iterable[Cell], make_place: MakePlace, *, alone: bool) -> None:
        self._cells: dict[Walk, list[Cell]] = {}
        for cell in (one for one in cells if not one.simulated):
            self._cells.setdefault(Walk.of(cell), []).append(cell)
        self._make_place = make_place
        self._alone = alone
        self._room = asyncio.Semaphore(SIDE_BY_SIDE)
        self._door = asyncio.Lock()
        """One walk begins after the other: the start of a service is what takes the processor most."""
        self._running: dict[Walk, _Running] = {}

    async def outcome(self, cell: Cell) -> None:
        """Wait for the walk of *cell*; AssertionError when its promise was broken, or the election ended otherwise."""
        if cell.simulated:
            await simulated.run(cell)
            return
        key = Walk.of(cell)
        self._begin(group_of(cell.fault))
        running = self._running[key]
        assert running.task, "it was begun"
        await asyncio.wait({running.task})
        if cell in running.course.broken:
            raise running.course.broken[cell]
        error = running.task.exception()
        if isinstance(error, Skipped):
            raise error
        if error and cell in running.course.kept:
            raise AssertionError(f"the promise was kept in {cell.phase}, but the election did not end well") from error
        if error:
            raise AssertionError(f"the election did not come as far as {cell.phase}") from error
        assert cell in running.course.kept

    async def close(self) -> None:
        """End what still runs."""
        tasks = [running.task for running in self._running.values() if running.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, group: str) -> None:
        for key, cells in self._cells.items():
            if (self._alone or group_of(key.fault) == group) and key not in self._running:
                self._running[key] = running = _Running()
                running.task = asyncio.create_task(self._run(key, cells, running.course))

    async def _run(self, key: Walk, cells: Collection[Cell], course: Course) -> None:
        fault = FAULTS[key.fault]()
        async with self._room, AsyncExitStack() as stack:
            async with self._door:
                place = await stack.enter_async_context(self._make_place(key))
                chief = await stack.enter_async_context(place.scene(leader0()))
                others = [
                    await stack.enter_async_context(place.scene(_PARTS[role](role), [chief]))
                    for role in key.roles
                    if any(cell.role == role for cell in cells) and role in _PARTS
                ]
                await begin(chief, others, fault, cells)
            try:
                await walk(chief, others, fault, cells, course)
            except BaseException:
                for scene in (chief, *others):
                    if scene.service.log.is_file():
                        log = scene.service.log.read_text(errors="replace")
                        print(f"==== {key}: {scene.role} ====\n{log}")
                raise


_PARTS = {"leader": leader, "follower": follower}
