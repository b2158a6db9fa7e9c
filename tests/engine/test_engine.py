"""The engine with scripted phases: what moves it, what holds it, what it does when a task fails."""

import asyncio
import errno
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from node_fsm.core.backoff import Backoff
from node_fsm.core.cluster import Lease
from node_fsm.core.conditions import ConditionType
from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.core.events import Event
from node_fsm.core.phases import Phase
from node_fsm.core.view import UNKNOWN, Deadline, Decision
from node_fsm.ports import ProcessPhase
from node_fsm.steps.context import Context
from tests.engine.world import Voting, World, never
from tests.support.fakes import START, block0, election, overview
from tests.support.memory_store import S3_AWAY


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
    world = World(tmp_path, early=0.5)
    async with world.running():
        await world.until(lambda: world.engine.board.deadline is not None)
        assert world.ctx.phase is Phase.WAITING
        assert world.engine.board.deadline is not None
        assert (world.engine.board.deadline.name, world.engine.board.deadline.at) == ("chain_start", START)
        await world.reaches(Phase.FETCHING_KEY)
        assert world.engine.board.since - START < timedelta(seconds=0.1)


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
    monkeypatch.setattr("node_fsm.engine.attempts.RETRY", Backoff(60.0, 60.0))

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
    monkeypatch.setattr("node_fsm.engine.attempts.RETRY", Backoff(3600.0, 3600.0))

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


async def test_the_tip_of_another_chain_says_nothing(tmp_path: Path) -> None:
    world = Voting(tmp_path)
    async with world.voting():
        world.node.tells(block0_hash="cd" * 32, tip_date=block0().dates.vote_end)
        await world.looks(3)
        assert world.ctx.phase is Phase.RUNNING
        world.node.tells(block0_hash=block0().hash)
        await world.reaches(Phase.TALLYING)


async def test_a_tip_says_nothing_where_no_node_must_run(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.database.answer = overview(election(block0=block0()))
    world.node.tells(block0_hash=block0().hash, tip_date=block0().dates.vote_end)
    async with world.running():
        await world.reaches(Phase.FETCHING_KEY)
        await world.looks()
        assert world.ctx.view is not None
        assert world.ctx.view.tip is UNKNOWN


async def test_the_node_stops_when_the_tally_is_over(tmp_path: Path) -> None:
    async def tally(ctx: Context) -> Decision:
        return Decision(Event.RESULTS_POSTED, "counted")

    world = Voting(tmp_path, tallying=tally)
    async with world.voting():
        stopped = world.node.stops
        world.node.tells(tip_date=block0().dates.vote_end)
        await world.reaches(Phase.ARCHIVING)
        await world.looks()
        assert world.node.stops == stopped + 1
    assert world.node.stops == stopped + 2, "and once more when the engine ends"


async def test_the_conditions_of_a_phase_end_with_it_unless_the_next_has_them_too(tmp_path: Path) -> None:
    world = Voting(tmp_path)
    running, tallying = (world.states[phase] for phase in (Phase.RUNNING, Phase.TALLYING))
    running.conditions = frozenset({ConditionType.CHAIN_STALLED, ConditionType.ISOLATED})  # type: ignore[misc]
    tallying.conditions = frozenset({ConditionType.ISOLATED})  # type: ignore[misc]
    async with world.voting():
        for type_ in running.conditions | {ConditionType.SANDBOX}:
            world.ctx.conditions.raise_(type_, "Reason", "do something")
        world.node.tells(tip_date=block0().dates.vote_end)
        await world.reaches(Phase.TALLYING)
        assert [held.type for held in world.ctx.conditions] == ["isolated", "sandbox"]


async def test_the_report_for_the_cluster_says_what_to_do_what_comes_next_and_that_it_stops(tmp_path: Path) -> None:
    world = Voting(tmp_path)
    async with world.voting():
        world.ctx.conditions.raise_(ConditionType.SANDBOX, "SandboxBinaries", "do something")
        world.ctx.count_votes(7)
        await world.looks()
        report = world.engine.board.report()
        assert (report.role, report.votes, report.stopped) == ("leader0", 7, False)
        assert report.deadline == Deadline("voting_end", block0().dates.vote_end_time, "first")
        assert [(held.type, held.message) for held in report.details] == [("sandbox", "do something")]
        world.ctx.votes = ("of another chain", 9)
        world.engine.board.stopped = True
        report = world.engine.board.report()
        assert (report.votes, report.stopped) == (None, True)


async def test_the_work_is_dropped_on_the_way_back_to_waiting(due: Callable[..., World]) -> None:
    world = due()
    async with world.running():
        await world.reaches(Phase.FETCHING_KEY)
        assert world.ctx.election_in_work().election_name == "first"
        world.database.answer = overview()
        await world.rereads()
        assert (world.ctx.phase, world.ctx.work) == (Phase.WAITING, None)


async def test_a_phase_that_is_left_has_its_task_cancelled_before_the_next_begins(due: Callable[..., World]) -> None:
    told: list[str] = []

    async def fetch(ctx: Context) -> Decision:
        try:
            return await never(ctx)
        finally:
            await asyncio.sleep(5)
            told.append("ended")

    async def wait(ctx: Context) -> Decision:
        told.append("began")
        return await never(ctx)

    world = due(fetching_key=fetch, waiting=wait)
    async with world.running():
        await world.reaches(Phase.FETCHING_KEY)
        await world.looks()
        world.database.answer = overview()
        world.ctx.mailbox.database_changed()
        await world.until(lambda: len(told) == 2)
    assert told == ["ended", "began"]


async def test_an_event_that_the_table_does_not_have_is_a_failure_of_the_task(due: Callable[..., World]) -> None:
    attempts = 0

    async def fetch(ctx: Context) -> Decision:
        nonlocal attempts
        attempts += 1
        return Decision(Event.ARCHIVED, "a defect")

    world = due(fetching_key=fetch)
    async with world.running():
        await world.until(lambda: world.condition("work_failing") == "UnexpectedError")
        await asyncio.sleep(600)
        assert world.ctx.phase is Phase.FETCHING_KEY
        assert 10 < attempts < 30, "it is tried again, and not all the time"


async def test_a_task_that_is_cancelled_by_something_else_has_failed(due: Callable[..., World]) -> None:
    async def fetch(ctx: Context) -> Decision:
        raise asyncio.CancelledError

    world = due(fetching_key=fetch)
    async with world.running():
        await world.until(lambda: world.condition("work_failing") == "UnexpectedError")
        await world.looks()


@pytest.mark.parametrize(("number", "reason"), [(errno.EMFILE, "DescriptorsExhausted"), (errno.EIO, "DiskUnusable")])
async def test_what_the_system_refuses_a_task_is_said(due: Callable[..., World], number: int, reason: str) -> None:
    async def fetch(ctx: Context) -> Decision:
        raise OSError(number, os.strerror(number), "/storage/plans")

    world = due(fetching_key=fetch)
    async with world.running():
        await world.until(lambda: world.condition("work_failing") == reason)


async def test_failures_are_tried_again_more_and_more_slowly_until_a_minute(due: Callable[..., World]) -> None:
    began: list[float] = []

    async def fetch(ctx: Context) -> Decision:
        began.append(ctx.clock.monotonic())
        raise TemporaryError("S3Unavailable", "no answer")

    world = due(fetching_key=fetch)
    async with world.running():
        await asyncio.sleep(600)
    delays = [later - earlier for earlier, later in pairwise(began)]
    for expected, delay in zip([1, 2, 4, 8, 16, 32, 60, 60], delays, strict=False):
        assert 0.75 * expected <= delay <= expected + 0.1


async def test_each_cause_has_delays_of_its_own(due: Callable[..., World]) -> None:
    """Ten failures that a person had to mend say nothing of how soon S3 answers again."""
    began: list[float] = []
    reasons = [*["DatabaseUnavailable"] * 8, "LeaseNotHeld", "LeaseNotHeld", "DatabaseUnavailable"]

    async def fetch(ctx: Context) -> Decision:
        began.append(ctx.clock.monotonic())
        raise TemporaryError(reasons[min(len(began), len(reasons)) - 1], "not now")

    world = due(fetching_key=fetch)
    async with world.running():
        await world.until(lambda: len(began) > len(reasons), 1000)
    delays = [later - earlier for earlier, later in pairwise(began)]
    for expected, delay in zip([60, 1, 2, 60], delays[7:11], strict=True):
        assert 0.75 * expected <= delay <= expected + 0.1


async def test_a_deadline_that_comes_nearer_cuts_delays_short(tmp_path: Path) -> None:
    """However much failed before, there are several attempts in the last minute before voting ends."""
    began: list[datetime] = []

    async def fetch(ctx: Context) -> Decision:
        began.append(ctx.clock.now())
        raise TemporaryError("S3Unavailable", "no answer")

    world = World(tmp_path, fetching_key=fetch)
    voting_end = election().voting_end
    world.clock.advance(seconds=(voting_end - timedelta(minutes=10) - world.clock.now()).total_seconds())
    async with world.running():
        await asyncio.sleep(599)
    last_minute = [at for at in began if at > voting_end - timedelta(minutes=1)]
    assert len(last_minute) >= 4
    assert all(later - earlier >= timedelta(seconds=0.75) for earlier, later in pairwise(began))


async def test_what_failed_while_s3_was_away_goes_on_when_it_is_back(
    due: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node_fsm.engine.attempts.RETRY", Backoff(3600.0, 3600.0))
    world = due(fetching_key=_fetch_from_s3)
    world.store.failure = S3_AWAY
    async with world.running():
        await world.until(lambda: world.condition("work_failing") == "S3Unavailable")
        await asyncio.sleep(120)
        assert world.ctx.phase is Phase.FETCHING_KEY
        world.store.failure = None
        await world.reaches(Phase.BUILDING_VOTE_PLAN)


async def test_s3_that_answers_other_questions_cuts_no_delay_short(
    due: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that only refuses to write for now is not asked again every few seconds."""
    monkeypatch.setattr("node_fsm.engine.attempts.RETRY", Backoff(3600.0, 3600.0))
    attempts: list[float] = []

    async def fetch(ctx: Context) -> Decision:
        attempts.append(ctx.clock.monotonic())
        raise S3_AWAY

    world = due(fetching_key=fetch)
    async with world.running():
        await asyncio.sleep(120)
    assert len(attempts) == 1


async def _fetch_from_s3(ctx: Context) -> Decision:
    await ctx.store.uris("s3://keys/leader0")
    return Decision(Event.KEY_FETCHED, "it is back")


async def test_what_failed_while_the_database_was_away_goes_on_when_it_is_back(
    due: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node_fsm.engine.attempts.RETRY", Backoff(3600.0, 3600.0))

    attempts = 0

    async def fetch(ctx: Context) -> Decision:
        nonlocal attempts
        attempts += 1
        if attempts > 1:
            return Decision(Event.KEY_FETCHED, "it is back")
        world.database.failure = TemporaryError("DatabaseUnavailable", "no answer")
        ctx.database_changed()
        while ctx.overview() is not UNKNOWN:
            await ctx.next_look()
        raise TemporaryError("DatabaseUnavailable", "no answer")

    world = due(fetching_key=fetch)
    async with world.running():
        await world.until(lambda: world.condition("work_failing") == "DatabaseUnavailable")
        await asyncio.sleep(20)
        assert attempts == 1
        world.database.failure = None
        await world.reaches(Phase.BUILDING_VOTE_PLAN)


async def test_a_task_that_goes_well_again_ends_the_failure_and_begins_the_delays_anew(tmp_path: Path) -> None:
    is_well = asyncio.Event()
    attempts = 0

    async def follow(ctx: Context) -> Decision:
        nonlocal attempts
        attempts += 1
        await asyncio.sleep(0.1)
        if attempts < 3:
            raise TemporaryError("NodeUnavailable", "no answer")
        ctx.progress()
        await is_well.wait()
        raise TemporaryError("NodeUnavailable", "no answer")

    world = Voting(tmp_path, running=follow)
    async with world.running():
        await world.until(lambda: world.condition("work_failing") is not None)
        await world.until(lambda: attempts == 3)
        await asyncio.sleep(0.2)
        await world.looks()
        assert world.condition("work_failing") is None
        assert world.engine.board.status().last_error is None
        is_well.set()
        await world.until(lambda: world.condition("work_failing") is not None)
        failed = world.clock.monotonic()
        await world.until(lambda: attempts == 4)
        assert world.clock.monotonic() - failed <= 1.2


async def test_what_a_person_must_mend_is_tried_again_at_every_scan(due: Callable[..., World]) -> None:
    began: list[float] = []

    async def fetch(ctx: Context) -> Decision:
        began.append(ctx.clock.monotonic())
        raise PermanentError("KeyMalformed", "put the right key there")

    world = due(fetching_key=fetch)
    async with world.running():
        await asyncio.sleep(200)
    assert [round(later - earlier) for earlier, later in pairwise(began)] == [60, 60, 60]


async def test_the_database_is_read_at_every_scan_though_nothing_says_that_it_changed(
    due: Callable[..., World],
) -> None:
    world = due()
    async with world.running():
        await world.reaches(Phase.FETCHING_KEY)
        await world.looks()
        before = world.database.readings
        await asyncio.sleep(60 * 5 + 1)
        assert world.database.readings == before + 5


async def test_edits_do_not_hurry_what_the_outside_refused(due: Callable[..., World]) -> None:
    attempts = 0

    async def fetch(ctx: Context) -> Decision:
        nonlocal attempts
        attempts += 1
        raise TemporaryError("S3Unavailable", "no answer")

    world = due(fetching_key=fetch)
    async with world.running():
        await asyncio.sleep(100)
        before = attempts
        for revision in range(2, 12):
            world.database.answer = overview(election(revision=revision))
            await world.rereads()
        assert attempts <= before + 1


async def test_a_node_that_was_started_and_does_not_answer_yet_hurries_nothing(
    due: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node_fsm.engine.attempts.RETRY", Backoff(60.0, 60.0))
    attempts = 0

    async def fetch(ctx: Context) -> Decision:
        nonlocal attempts
        attempts += 1
        raise TemporaryError("NodeUnavailable", "it does not answer")

    world = due(fetching_key=fetch)
    async with world.running():
        await world.until(lambda: attempts == 1)
        world.node.tells(phase=ProcessPhase.STARTING, starts=2)
        await world.looks(3)
        assert attempts == 1
        world.node.tells(phase=ProcessPhase.RUNNING)
        await world.looks(3)
        assert attempts == 2


async def test_the_task_ends_with_the_engine(due: Callable[..., World]) -> None:
    ended: list[int] = []

    async def fetch(ctx: Context) -> Decision:
        try:
            return await never(ctx)
        finally:
            await asyncio.sleep(5)
            ended.append(world.node.stops)

    world = due(fetching_key=fetch)
    async with world.running():
        await world.reaches(Phase.FETCHING_KEY)
        await world.looks()
        stops = world.node.stops
    assert ended == [stops], "and before the node is stopped"
    assert world.node.stops == stops + 1


async def test_a_task_that_waits_for_the_next_look_goes_on_with_it(tmp_path: Path) -> None:
    seen: list[object] = []

    async def follow(ctx: Context) -> Decision:
        while True:
            seen.append(ctx.view)
            await ctx.next_look(3600)

    world = Voting(tmp_path, running=follow)
    async with world.running():
        await world.until(lambda: len(seen) >= 1)
        await world.looks(3)
        assert len(seen) >= 3
        assert seen[-1] is world.ctx.view


async def test_live_is_told_by_the_last_look(due: Callable[..., World]) -> None:
    world = due()
    async with world.running():
        await world.looks()
        await asyncio.sleep(30)
        assert world.engine.board.status().last_tick < world.clock.monotonic() - 29
        await world.looks()
        assert world.engine.board.status().last_tick > world.clock.monotonic() - 1


async def test_it_looks_every_minute_however_rare_scans_are(tmp_path: Path) -> None:
    world = World(tmp_path, early=86400, rescan_seconds=3600)
    async with world.running():
        await world.looks()
        await asyncio.sleep(1800)
        assert world.engine.board.status().last_tick >= world.clock.monotonic() - 60


async def test_signals_count_once_and_carry_no_news(due: Callable[..., World]) -> None:
    world = due()
    async with world.running():
        await world.reaches(Phase.FETCHING_KEY)
        await world.looks()
        before = world.database.readings
        for _ in range(100):
            world.ctx.mailbox.look_again()
        await world.looks()
        assert world.database.readings == before, "a signal of the node's does not read the database"
