"""Nothing that raises in a look or a step ends the engine: the node stays, the chain goes on, a condition says why."""

import asyncio
import errno
import io
import os
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from node_fsm.core.errors import TemporaryError
from node_fsm.core.events import Event
from node_fsm.core.model import Overview
from node_fsm.core.phases import Phase
from node_fsm.core.view import UNKNOWN, Decision
from node_fsm.engine.faults import PAUSE
from node_fsm.engine.look import DATABASE_RETRY_SECONDS
from node_fsm.steps.context import Context
from tests.engine.world import Voting, World
from tests.support.fakes import block0, election, overview

ERRORS = [
    (OSError(errno.EMFILE, os.strerror(errno.EMFILE), "/storage"), "DescriptorsExhausted", "ulimit -n"),
    (OSError(errno.ENFILE, os.strerror(errno.ENFILE)), "DescriptorsExhausted", "may open no more files"),
    (OSError(errno.EIO, os.strerror(errno.EIO), "/storage"), "DiskUnusable", "Input/output error of /storage"),
    (OSError(errno.EACCES, os.strerror(errno.EACCES), "/storage"), "DiskUnusable", "Permission denied of /storage"),
    (ConnectionResetError(errno.ECONNRESET, "reset"), "UnexpectedError", "ConnectionResetError"),
    (ValueError("year 20270 is out of range"), "UnexpectedError", "year 20270 is out of range"),
    (OverflowError("date value out of range"), "UnexpectedError", "OverflowError"),
]
SOURCES = [
    ("node_fsm.storage.workspace.Workspace.chains", "storage_unreadable", "NODE_FSM_STORAGE_DIR"),
    ("node_fsm.steps.context.Context.template", "template_invalid", "NODE_FSM_BLOCK0_TEMPLATE"),
    ("tests.support.fakes.FakeDatabase.overview", "database_unavailable", "reading the database"),
]
PARTS = [
    ("node_fsm.engine.look.Look._tip", "the engine's step"),
    ("node_fsm.engine.look.observations", "looking for what the database has to say"),
    ("node_fsm.engine.loop.decide", "deciding what comes next"),
    ("node_fsm.engine.loop.deadlines_ahead", "deciding what comes next"),
    ("node_fsm.metrics.Metrics.ticked", "telling of a look"),
]


async def tally(ctx: Context) -> Decision:
    return Decision(Event.RESULTS_POSTED, "counted")


class Raising:
    """Stands in for a function or a method, and raises instead."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.calls = 0

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.calls += 1
        raise self.error


@pytest.mark.parametrize(("error", "reason", "hint"), ERRORS, ids=[f"{reason}-{hint}" for _, reason, hint in ERRORS])
@pytest.mark.parametrize(("source", "condition", "what"), SOURCES, ids=[condition for _, condition, _ in SOURCES])
async def test_a_source_that_cannot_be_read_is_a_condition(
    tmp_path: Path,
    source: str,
    condition: str,
    what: str,
    error: Exception,
    reason: str,
    hint: str,
) -> None:
    world = Voting(tmp_path)
    async with world.voting():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(source, Raising(error))
            await world.rereads()
            assert world.condition(condition) == reason
            assert hint in world.message(condition)
            assert what in world.message(condition)
            await world.goes_on()
        await world.rereads()
        assert list(world.ctx.conditions) == []
        await world.goes_on()


async def test_a_template_whose_blocks_do_not_fit_into_a_slot_is_a_condition(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    storage.mkdir()
    world = Voting(storage)
    shipped = world.ctx.settings.block0_template.read_text()
    template = tmp_path / "template.yaml"
    world.ctx.settings = replace(world.ctx.settings, block0_template=template)
    template.write_text(shipped.replace("size: 640000", "size: 644001"))
    async with world.voting():
        await world.until(lambda: world.condition("blocks_too_large") == "SlotTooShort")
        assert "644000 or less" in world.message("blocks_too_large")
        template.write_text(shipped.replace("size: 640000", "size: 644000"))
        os.utime(template, (1, 1))  # another time than before, however quick this is
        await world.until(lambda: world.condition("blocks_too_large") is None)


@pytest.mark.parametrize(("part", "what"), PARTS, ids=[part for part, _ in PARTS])
async def test_a_defect_in_a_look_is_a_condition(tmp_path: Path, part: str, what: str) -> None:
    world = Voting(tmp_path)
    async with world.voting():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(part, Raising(OverflowError("date value out of range")))
            await world.until(lambda: world.condition("engine_failing") == "UnexpectedError")
            assert what in world.message("engine_failing")
            await world.goes_on()
        await world.until(lambda: world.condition("engine_failing") is None, 2 * PAUSE.longest)
        await world.goes_on()
        world.node.tells(tip_date=block0().dates.vote_end)
        await world.reaches(Phase.TALLYING)


async def test_two_defects_at_once_are_one_condition_that_does_not_flicker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    world = Voting(tmp_path)
    async with world.voting():
        monkeypatch.setattr("node_fsm.engine.loop.decide", Raising(ValueError("one")))
        monkeypatch.setattr("node_fsm.engine.look.observations", Raising(ValueError("two")))
        await world.until(lambda: world.condition("engine_failing") is not None)
        changes: list[object] = []
        world.ctx.conditions.listeners.append(lambda *change: changes.append(change))
        await world.looks(5)
        assert "one" in world.message("engine_failing")
        assert "two" in world.message("engine_failing")
        assert changes == []
        assert log.getvalue().count("Traceback") == 2, "one for each"


async def test_a_step_that_is_cut_short_at_its_end_is_one_condition_that_does_not_flicker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = Voting(tmp_path)
    async with world.voting():
        monkeypatch.setattr("node_fsm.engine.attempts.Attempts.pause", Raising(ValueError("a defect")))
        await world.until(lambda: world.condition("engine_failing") is not None)
        changes: list[object] = []
        world.ctx.conditions.listeners.append(lambda *change: changes.append(change))
        async with asyncio.timeout(600):
            await asyncio.sleep(300)
        assert changes == []
        await world.goes_on()


async def test_a_step_that_is_cut_short_every_time_is_not_tried_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = Voting(tmp_path)
    async with world.voting():
        tip = Raising(ValueError("a defect"))
        monkeypatch.setattr("node_fsm.engine.look.Look._tip", tip)
        rounds, began = world.rounds, world.clock.monotonic()
        await world.until(lambda: world.clock.monotonic() > began + 600, 700)
        assert 10 < tip.calls < 30
        assert world.rounds > rounds + 500, "the chain is followed all the while"
        assert world.engine.board.status().last_tick > world.clock.monotonic() - PAUSE.longest - 1


async def test_a_deadline_that_passed_while_nothing_could_be_decided_is_not_waited_for_again_and_again(
    due: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = due(early=5)
    async with world.running():
        await world.looks()
        assert world.engine.board.deadline is not None
        defect = Raising(OverflowError("date value out of range"))
        monkeypatch.setattr("node_fsm.engine.loop.deadlines_ahead", defect)
        async with asyncio.timeout(600):
            await asyncio.sleep(300)
        assert 5 <= defect.calls <= 10


@pytest.mark.parametrize("part", ["node_fsm.engine.telemetry.bind_context", "node_fsm.metrics.Metrics.transition"])
async def test_a_move_that_cannot_be_told_is_made_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    world = Voting(tmp_path, tallying=tally)
    async with world.voting():
        stops = world.node.stops
        monkeypatch.setattr(part, Raising(ValueError("a defect")))
        world.node.tells(tip_date=block0().dates.vote_end)
        await world.reaches(Phase.ARCHIVING)
        await world.looks()
        assert world.node.stops == stops + 1
        await world.engine.reporter.flush()
        assert [entry.target for entry in world.database.entries][-2:] == ["Tallying", "Archiving"]


async def test_a_listener_of_conditions_that_raises_holds_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = Voting(tmp_path)
    async with world.voting():
        monkeypatch.setattr("node_fsm.metrics.Metrics.condition_changed", Raising(ValueError("a defect")))
        world.database.failure = TemporaryError("DatabaseUnavailable", "refused")
        await world.rereads()
        assert world.condition("database_unavailable") == "DatabaseUnavailable"
        await world.goes_on()


async def test_a_directory_that_cannot_be_read_does_not_mean_that_nothing_is_there(
    due: Callable[..., World], tmp_path: Path
) -> None:
    """Waiting goes nowhere before it knows what is left of earlier elections."""
    world = due()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("node_fsm.storage.workspace.Workspace.chains", Raising(PermissionError(errno.EACCES, "no")))
        async with world.running():
            await world.looks(3)
            assert world.ctx.view is not None
            assert world.ctx.view.local is UNKNOWN
            assert world.ctx.phase is Phase.WAITING
            patch.undo()
            world.ctx.mailbox.look_again()
            await world.reaches(Phase.FETCHING_KEY)


async def test_a_chain_that_comes_to_light_is_asked_about_at_once(tmp_path: Path) -> None:
    world = Voting(tmp_path)
    async with world.voting():
        assert world.database.asked == {block0().hash}
        readings = world.database.readings
        world.ctx.workspace.chain(9, "cd" * 32).path.mkdir(parents=True)
        await world.looks()
        assert world.database.asked == {block0().hash, "cd" * 32}
        assert world.database.readings == readings + 1


@pytest.mark.parametrize("error", [TemporaryError("DatabaseUnavailable", "refused"), OverflowError("year")])
async def test_a_database_that_fails_is_asked_again_soon_and_not_all_the_time(
    due: Callable[..., World], error: Exception
) -> None:
    world = due()
    async with world.running():
        await world.reaches(Phase.FETCHING_KEY)
        world.database.failure = error
        await world.rereads()
        readings, began = world.database.readings, world.clock.monotonic()
        while world.clock.monotonic() < began + 20 * DATABASE_RETRY_SECONDS:
            await world.looks()
        assert 18 <= world.database.readings - readings <= 21


async def test_a_database_that_does_not_answer_is_unknown_after_a_while(
    due: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = due()

    async def silent(*_: object) -> None:
        await asyncio.Event().wait()

    async with world.running():
        await world.reaches(Phase.FETCHING_KEY)
        monkeypatch.setattr(world.database, "overview", silent)
        world.ctx.mailbox.database_changed()
        await world.until(lambda: world.condition("database_unavailable") == "DatabaseSlow", 11)
        await world.looks()
        assert world.ctx.phase is Phase.FETCHING_KEY


async def test_what_held_while_the_database_was_known_is_neither_confirmed_nor_denied(
    due: Callable[..., World],
) -> None:
    world = due()
    world.database.answer = overview(election(), missed=(election(id=2, name="late"),))
    async with world.running():
        await world.until(lambda: world.condition("election_missed") is not None)
        world.database.failure = TemporaryError("DatabaseUnavailable", "refused")
        await world.rereads()
        assert world.condition("election_missed") is not None
        world.database.failure, world.database.answer = None, overview(election())
        await world.rereads()
        assert world.condition("election_missed") is None


@pytest.mark.parametrize(("ahead", "where"), [(5.0, "5 s behind"), (-5.0, "5 s ahead of"), (-3600, "3600 s ahead")])
async def test_a_clock_that_is_wrong_is_a_condition_until_it_is_mended(
    due: Callable[..., World], ahead: float, where: str
) -> None:
    """Leader 0 begins no chain by it: the others would refuse its blocks."""
    world = due()
    world.database.ahead = timedelta(seconds=ahead)
    async with world.running():
        await world.looks(4)
        assert world.condition("clock_wrong") == "ClockWrong"
        assert where in world.message("clock_wrong")
        assert world.ctx.phase is Phase.WAITING
        world.database.ahead = timedelta(0)
        await world.rereads()
        await world.until(lambda: world.ctx.phase is not Phase.WAITING)
        assert world.condition("clock_wrong") is None


async def test_a_clock_that_is_set_is_compared_at_once_and_doubted_while_it_cannot_be(
    due: Callable[..., World],
) -> None:
    world = due()
    world.database.answer = overview()
    async with world.running():
        await world.looks(2)
        world.clock.advance(hours=1)
        world.database.ahead = timedelta(hours=-1)
        world.ctx.mailbox.look_again()
        await world.until(lambda: world.condition("clock_wrong") == "ClockWrong")
        world.clock.advance(hours=-1)
        world.database.ahead = timedelta(0)
        world.database.failure = TemporaryError("DatabaseUnavailable", "refused")
        world.ctx.mailbox.look_again()
        await world.until(lambda: world.condition("clock_wrong") == "ClockSet")
        world.database.failure = None
        await world.rereads()
        assert world.condition("clock_wrong") is None


async def test_a_slow_answer_is_not_taken_for_a_wrong_clock(due: Callable[..., World]) -> None:
    world = due()
    answer = world.database.overview

    async def slow(hashes: Collection[str]) -> Overview:
        found = await answer(hashes)
        await asyncio.sleep(3)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.database, "overview", slow)
        async with world.running():
            await world.until(lambda: world.ctx.phase is not Phase.WAITING, 30)
            assert world.condition("clock_wrong") is None
