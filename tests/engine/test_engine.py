"""The engine with scripted phases: what moves it, what holds it, what it does when work fails."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from node_fsm.core.backoff import Backoff
from node_fsm.core.conditions import Conditions
from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.core.events import Event
from node_fsm.core.machine import build_machine
from node_fsm.core.model import Lease
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
from tests.support.virtual_time import LoopClock

Work = Callable[[Context], Awaitable[Decision]]


async def never(ctx: Context) -> Decision:
    ctx.progress()
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


class Scripted(PhaseState):
    """A phase whose work a test gives."""

    def __init__(self, phase: Phase, work: Work) -> None:
        self.phase = phase  # type: ignore[misc]  # one class stands for all phases here
        self.work = work
        super().__init__()

    async def run(self, ctx: Context) -> Decision:
        return await self.work(ctx)


class World:
    """An engine of leader 0 among fakes."""

    def __init__(self, directory: Path, **works: Work) -> None:
        self.clock = LoopClock()
        self.database = FakeDatabase(overview(election()))
        self.node = FakeNode()
        template = Path(__file__).parents[2] / "block0_template.yaml"
        policy = Policy(Role.LEADER0, voting_start_offset_minutes=-60, close_grace_minutes=60, hot_reload=False)
        self.ctx = Context(
            settings=PhaseSettings("leader0", policy, "s3://keys/leader0", "s3://archive/x", template, "0"),
            clock=self.clock,
            database=cast("Any", self.database),
            store=cast("Any", None),
            jcli=cast("Any", None),
            node=cast("Any", self.node),
            workspace=Workspace(directory),
            conditions=Conditions(self.clock.now),
            metrics=Metrics(Role.LEADER0),
            mailbox=Mailbox(),
            looked=Pulse(),
        )
        states = [Scripted(phase, works.get(phase.name.lower(), never)) for phase in Phase]
        self.engine = Engine(self.ctx, build_machine(LEADER0, states), rescan_seconds=60, advertise="")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.engine.run())
        try:
            yield
            assert not task.done(), f"the engine ended: {task}"
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                await asyncio.sleep(0.01)

    async def reaches(self, phase: Phase) -> None:
        await self.until(lambda: self.ctx.phase is phase)

    def condition(self, type_: str) -> str | None:
        return next((held.reason for held in self.ctx.conditions if held.type == type_), None)


@pytest.fixture
def due(tmp_path: Path) -> Callable[..., World]:
    """A world whose election is due at once."""
    return lambda **works: World(tmp_path, **works)


async def test_goes_on_with_the_event_that_the_work_returns(due: Callable[..., World]) -> None:
    async def fetch(ctx: Context) -> Decision:
        return Decision(Event.KEY_FETCHED, "the key is here")

    world = due(fetching_key=fetch)
    async with world.running():
        await world.reaches(Phase.BUILDING_VOTE_PLAN)
        await world.engine.reporter.flush()
    assert [(entry.source, entry.event, entry.target) for entry in world.database.entries] == [
        ("Waiting", "election_due", "FetchingKey"),
        ("FetchingKey", "key_fetched", "BuildingVotePlan"),
    ]
    assert all(entry.reason for entry in world.database.entries)
    assert world.database.reports[-1].phase == "BuildingVotePlan"


async def test_waits_until_the_chain_starts(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.clock.advance(seconds=-0.5)  # half a second early
    async with world.running():
        await world.until(lambda: world.engine.deadline is not None)
        assert world.ctx.phase is Phase.WAITING
        assert world.engine.deadline is not None
        assert (world.engine.deadline.name, world.engine.deadline.at) == ("chain_start", START)
        world.clock.advance(seconds=0.5)
        await world.reaches(Phase.FETCHING_KEY)


async def test_a_decision_beats_the_work_that_has_ended(due: Callable[..., World]) -> None:
    async def fetch(ctx: Context) -> Decision:
        world.database.answer = overview()  # the election is gone
        ctx.database_changed()
        return Decision(Event.KEY_FETCHED, "too late")

    world = due(fetching_key=fetch)
    async with world.running():
        await world.until(lambda: world.database.readings > 2 and world.ctx.phase is Phase.WAITING)
        await world.engine.reporter.flush()
    assert [entry.event for entry in world.database.entries] == ["election_due", "election_changed"]


async def test_retries_what_the_outside_refused(due: Callable[..., World]) -> None:
    attempts: list[str | None] = []

    async def fetch(ctx: Context) -> Decision:
        attempts.append(world.condition("work_failing"))
        if len(attempts) < 3:
            raise TemporaryError("S3Unavailable", "no answer")
        return Decision(Event.KEY_FETCHED, "at last")

    world = due(fetching_key=fetch)
    async with world.running():
        await world.reaches(Phase.BUILDING_VOTE_PLAN)
        assert world.condition("work_failing") is None
    assert attempts == [None, "S3Unavailable", "S3Unavailable"]


async def test_a_person_mends_the_row_and_it_goes_on_at_once(due: Callable[..., World]) -> None:
    async def fetch(ctx: Context) -> Decision:
        if world.database.answer.elections[0].revision == 1:
            raise PermanentError("KeyMalformed", "put the right key there")
        return Decision(Event.KEY_FETCHED, "mended")

    world = due(fetching_key=fetch)
    async with world.running():
        await world.until(lambda: world.condition("work_failing") == "KeyMalformed")
        assert world.ctx.phase is Phase.FETCHING_KEY
        world.database.answer = overview(election(revision=2))
        world.ctx.mailbox.database_changed()
        await world.reaches(Phase.BUILDING_VOTE_PLAN)


async def test_what_failed_for_want_of_the_node_goes_on_when_it_is_back(
    due: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Votes that a node lost are posted again then, and expire if that waits for the next attempt."""
    monkeypatch.setattr("node_fsm.engine.loop.RETRY", Backoff(60.0, 60.0))

    async def fetch(ctx: Context) -> Decision:
        if not ctx.node.state.running:
            raise TemporaryError("NodeUnavailable", "it does not answer")
        return Decision(Event.KEY_FETCHED, "it is back")

    world = due(fetching_key=fetch)
    async with world.running():
        await world.until(lambda: world.condition("work_failing") == "NodeUnavailable")
        world.node.tells(phase=ProcessPhase.RUNNING, starts=2)
        world.ctx.mailbox.look_again()
        await world.reaches(Phase.BUILDING_VOTE_PLAN)


async def test_what_failed_for_want_of_the_lease_goes_on_when_it_is_there(
    due: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node_fsm.engine.loop.RETRY", Backoff(3600.0, 3600.0))

    async def fetch(ctx: Context) -> Decision:
        if ctx.lease is None:
            raise TemporaryError("LeaseNotHeld", "another holds it")
        return Decision(Event.KEY_FETCHED, "the lease is there")

    world = due(fetching_key=fetch)
    async with world.running():
        await world.until(lambda: world.condition("work_failing") == "LeaseNotHeld")
        world.ctx.lease = Lease("leader0", 7, START, None)
        world.ctx.mailbox.look_again()
        await world.reaches(Phase.BUILDING_VOTE_PLAN)


async def test_a_defect_in_a_phase_is_a_condition_not_the_end(due: Callable[..., World]) -> None:
    async def fetch(ctx: Context) -> Decision:
        raise ZeroDivisionError("a defect")

    world = due(fetching_key=fetch)
    async with world.running():
        await world.until(lambda: world.condition("work_failing") == "UnexpectedError")
        assert world.ctx.phase is Phase.FETCHING_KEY


async def test_an_unknown_database_moves_nothing(due: Callable[..., World]) -> None:
    world = due()
    async with world.running():
        await world.reaches(Phase.FETCHING_KEY)
        world.database.failure = TemporaryError("DatabaseUnavailable", "refused")
        world.database.answer = overview()  # what it would say, if it could
        world.ctx.mailbox.database_changed()
        await world.until(lambda: world.condition("database_unavailable") == "DatabaseUnavailable")
        assert world.ctx.phase is Phase.FETCHING_KEY
        world.database.failure = None
        world.ctx.mailbox.database_changed()
        await world.reaches(Phase.WAITING)
        assert world.condition("database_unavailable") is None


async def test_the_node_stops_when_the_tally_is_over(tmp_path: Path) -> None:
    async def fetch(ctx: Context) -> Decision:
        published = ctx.published_election()
        assert published is not None
        assert published.block0 is not None
        from dataclasses import replace

        return Decision(Event.BLOCK0_FOUND, "published", replace(ctx.election_in_work(), block0=published.block0))

    async def tally(ctx: Context) -> Decision:
        return Decision(Event.RESULTS_POSTED, "counted")

    world = World(tmp_path, fetching_key=fetch, tallying=tally)
    world.database.answer = overview(election(block0=block0()))
    async with world.running():
        await world.reaches(Phase.RUNNING)
        stopped = world.node.stops
        world.node.tells(block0_hash="cd" * 32)  # another chain's tip says nothing
        world.node.tells(tip_date=block0().dates.vote_end)
        world.ctx.mailbox.look_again()
        await world.until(lambda: world.ctx.view is not None and world.ctx.phase is Phase.RUNNING)
        world.node.tells(block0_hash=block0().hash)
        world.ctx.mailbox.look_again()
        await world.reaches(Phase.ARCHIVING)
        assert world.node.stops == stopped + 1
    assert world.node.stops == stopped + 2, "and once more when the engine ends"


async def test_signals_count_once_and_carry_no_news(due: Callable[..., World]) -> None:
    world = due()
    async with world.running():
        await world.reaches(Phase.FETCHING_KEY)
        await world.until(lambda: not world.ctx.mailbox._wake.is_set())
        before = world.database.readings
        for _ in range(100):
            world.ctx.mailbox.look_again()
        await asyncio.sleep(0)
        assert world.database.readings == before, "a signal of the node's does not read the database"
