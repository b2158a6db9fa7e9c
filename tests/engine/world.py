"""An engine of leader 0 among fakes, with phases whose tasks a test gives."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from node_fsm.core.block_date import BlockDate
from node_fsm.core.conditions import Conditions
from node_fsm.core.events import Event
from node_fsm.core.machine import build_machine
from node_fsm.core.phases import Phase, Role
from node_fsm.core.table import LEADER0
from node_fsm.core.view import Decision, Policy
from node_fsm.engine.loop import Engine
from node_fsm.metrics import Metrics
from node_fsm.ports import ProcessPhase
from node_fsm.steps.context import Context, PhaseSettings
from node_fsm.steps.mailbox import Mailbox, Pulse
from node_fsm.storage.workspace import Workspace
from states.base import PhaseState
from tests.support.fakes import START, FakeDatabase, FakeNode, block0, election, overview
from tests.support.memory_store import MemoryStore
from tests.support.virtual_time import LoopClock

Task = Callable[[Context], Awaitable[Decision]]


async def never(ctx: Context) -> Decision:
    ctx.progress()
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def find_block0(ctx: Context) -> Decision:
    """The task of FetchingKey, when block 0 is published."""
    published = ctx.published_election()
    assert published is not None
    return Decision(Event.BLOCK0_FOUND, "published", replace(ctx.election_in_work(), block0=published.block0))


class Scripted(PhaseState):
    """A phase whose task a test gives."""

    def __init__(self, phase: Phase, task: Task) -> None:
        self.phase = phase  # type: ignore[misc]  # one class stands for all phases here
        self.task = task
        super().__init__()

    async def run(self, ctx: Context) -> Decision:
        return await self.task(ctx)


class World:
    """An engine of leader 0 among fakes; its election is due *early* seconds after it begins."""

    def __init__(self, directory: Path, *, early: float = 0.0, rescan_seconds: float = 60, **tasks: Task) -> None:
        self.clock = LoopClock(START - timedelta(seconds=early))
        self.database = FakeDatabase(overview(election()), self.clock)
        self.store = MemoryStore()
        self.node = FakeNode()
        template = Path(__file__).parents[2] / "block0_template.yaml"
        policy = Policy(Role.LEADER0, voting_start_offset_minutes=-60, close_grace_minutes=60, hot_reload=False)
        self.ctx = Context(
            settings=PhaseSettings("leader0", policy, "s3://keys/leader0", "s3://archive/x", template, "0"),
            clock=self.clock,
            database=cast("Any", self.database),
            store=self.store,
            jcli=cast("Any", None),
            node=cast("Any", self.node),
            workspace=Workspace(directory),
            conditions=Conditions(self.clock.now),
            metrics=Metrics(Role.LEADER0),
            mailbox=Mailbox(),
            looked=Pulse(),
        )
        self.states: dict[Phase, PhaseState] = {
            phase: Scripted(phase, tasks.get(phase.name.lower(), never)) for phase in Phase
        }
        machine = build_machine(LEADER0, list(self.states.values()))
        self.engine = Engine(self.ctx, machine, rescan_seconds, advertise="")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.engine.run())
        try:
            yield
            assert not task.done(), f"the engine ended: {task}"
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def until(self, holds: Callable[[], bool], seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            while not holds():
                await asyncio.sleep(0.01)

    async def reaches(self, phase: Phase) -> None:
        await self.until(lambda: self.ctx.phase is phase)

    async def looks(self, times: int = 2) -> None:
        """Wait until the engine has looked again so often; after two looks it has done what the first called for."""
        for _ in range(times):
            before = self.ctx.view
            self.ctx.mailbox.look_again()
            await self.until(lambda before=before: self.ctx.view is not before)  # type: ignore[misc]

    async def rereads(self) -> None:
        """Wait until the engine has read the database again, and done what that called for."""
        self.ctx.mailbox.database_changed()
        await self.looks()

    def condition(self, type_: str) -> str | None:
        return next((held.reason for held in self.ctx.conditions if held.type == type_), None)

    def message(self, type_: str) -> str:
        return next(held.message for held in self.ctx.conditions if held.type == type_)

    def metric(self, name: str, **labels: str) -> float | None:
        """The value that Prometheus reads; None while there is no such series."""
        return self.ctx.metrics.registry.get_sample_value(f"node_fsm_{name}", labels)


class Voting(World):
    """One whose chain runs on a published block 0, with a task that counts how often it goes on."""

    def __init__(self, directory: Path, **tasks: Task) -> None:
        super().__init__(
            directory, early=0.0, rescan_seconds=60, **{"fetching_key": find_block0, "running": self._follow} | tasks
        )
        self.database.answer = overview(election(block0=block0()))
        self.rounds = 0

    async def _follow(self, ctx: Context) -> Decision:
        while True:
            self.rounds += 1
            ctx.progress()
            await ctx.next_look(1)

    @asynccontextmanager
    async def voting(self) -> AsyncIterator[None]:
        """While the engine runs, the node runs the chain, and a block comes every second."""

        async def blocks() -> None:
            while True:
                self.ctx.mailbox.look_again()
                await asyncio.sleep(1)

        async with self.running():
            await self.reaches(Phase.RUNNING)
            self.node.tells(phase=ProcessPhase.RUNNING, starts=1, block0_hash=block0().hash, tip_date=BlockDate(0, 5))
            await self.until(lambda: self.rounds > 0)
            task = asyncio.create_task(blocks())
            try:
                yield
            finally:
                task.cancel()

    async def goes_on(self) -> None:
        """Assert that the chain is followed, and that the node was not stopped since it runs."""
        rounds, stops = self.rounds, self.node.stops
        await self.until(lambda: self.rounds > rounds + 3, 60)
        assert (self.ctx.phase, self.node.stops) == (Phase.RUNNING, stops)
