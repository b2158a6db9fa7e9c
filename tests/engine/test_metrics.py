"""What Prometheus reads while an engine works: each metric of the engine says what its page says."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.core.events import Event
from node_fsm.core.phases import Phase
from node_fsm.core.view import Decision
from node_fsm.ports import ProcessPhase
from node_fsm.steps.context import Context
from tests.engine.world import Voting, World, never
from tests.support.fakes import START, block0, election, overview


async def tally(ctx: Context) -> Decision:
    return Decision(Event.RESULTS_POSTED, "counted")


async def archive(ctx: Context) -> Decision:
    return Decision(Event.ARCHIVED, "archived")


async def reset(ctx: Context) -> Decision:
    return Decision(Event.LOCAL_DATA_RESET, "nothing was left")


async def test_phase_and_when_it_was_entered(due: Callable[..., World]) -> None:
    world = due(early=30)
    began = world.clock.now()
    async with world.running():
        await world.looks()
        assert world.metric("phase", node_fsm_phase="Waiting") == 1
        assert world.metric("phase_entered_timestamp_seconds") == began.timestamp()
        await world.until(lambda: world.ctx.phase is Phase.FETCHING_KEY, 31)
        await world.looks()
        assert world.metric("phase", node_fsm_phase="Waiting") == 0
        assert world.metric("phase", node_fsm_phase="FetchingKey") == 1
        entered = world.metric("phase_entered_timestamp_seconds")
        assert entered is not None
        assert 30 <= entered - began.timestamp() < 31


async def test_transitions_and_how_long_phases_lasted(due: Callable[..., World]) -> None:
    world = due(early=30)
    labels = {"source": "Waiting", "event": "election_due", "target": "FetchingKey"}
    async with world.running():
        await world.looks()
        assert world.metric("transitions_total", **labels) == 0
        await world.until(lambda: world.ctx.phase is Phase.FETCHING_KEY, 31)
        await world.looks()
        assert world.metric("transitions_total", **labels) == 1
        assert world.metric("phase_duration_seconds_count", phase="Waiting") == 1
        lasted = world.metric("phase_duration_seconds_sum", phase="Waiting")
        assert lasted is not None
        assert 30 <= lasted < 31


async def test_failures(due: Callable[..., World]) -> None:
    async def fetch(ctx: Context) -> Decision:
        raise ZeroDivisionError("a defect")

    world = due(fetching_key=fetch)
    assert world.metric("failures_total", phase="FetchingKey", reason="UnexpectedError") == 0
    async with world.running():
        await world.until(lambda: world.condition("work_failing") is not None)
        assert world.metric("failures_total", phase="FetchingKey", reason="UnexpectedError") == 1


async def test_conditions(due: Callable[..., World]) -> None:
    world = due()
    async with world.running():
        await world.looks()
        assert world.metric("condition", type="database_unavailable") == 0
        world.database.failure = TemporaryError("DatabaseUnavailable", "refused")
        await world.rereads()
        assert world.metric("condition", type="database_unavailable") == 1
        world.database.failure = None
        await world.rereads()
        assert world.metric("condition", type="database_unavailable") == 0


async def test_the_next_deadline(due: Callable[..., World]) -> None:
    world = due(early=30)
    async with world.running():
        await world.looks()
        assert world.metric("next_deadline_timestamp_seconds", deadline="chain_start") == START.timestamp()
        world.database.answer = overview()
        await world.rereads()
        assert world.metric("next_deadline_timestamp_seconds", deadline="chain_start") is None


async def test_the_engines_tick(due: Callable[..., World]) -> None:
    world = due()
    assert world.metric("engine_tick_timestamp_seconds") is None
    async with world.running():
        await world.until(lambda: world.clock.monotonic() > 300, 301)
        ticked = world.metric("engine_tick_timestamp_seconds")
        assert ticked is not None
        assert world.clock.now().timestamp() - ticked <= 60, "it looks at least at every scan"


async def test_the_offset_of_the_clock(due: Callable[..., World]) -> None:
    world = due()
    assert world.metric("clock_offset_seconds") is None
    async with world.running():
        world.database.ahead = timedelta(seconds=5)
        await world.rereads()
        offset = world.metric("clock_offset_seconds")
        assert offset is not None
        assert -5 <= offset < -4.9


async def test_the_node_is_up_while_it_answers_and_runs_the_chain(tmp_path: Path) -> None:
    world = Voting(tmp_path)
    async with world.voting():
        await world.looks()
        assert world.metric("node_up") == 1
        world.node.tells(phase=ProcessPhase.BOOTSTRAPPING)
        await world.looks()
        assert world.metric("node_up") == 0


async def test_who_is_connected_is_told_while_the_node_is_up(tmp_path: Path) -> None:
    world = Voting(tmp_path)
    async with world.voting():
        world.node.tells(peers_connected=2)
        await world.looks()
        assert world.metric("node_peers") == 2
        world.node.tells(phase=ProcessPhase.BOOTSTRAPPING)
        await world.looks()
        assert world.metric("node_peers") is None


async def test_restarts_are_those_that_the_node_tells_of_and_not_its_starts(tmp_path: Path) -> None:
    world = Voting(tmp_path)
    async with world.voting():
        world.node.tells(starts=5, restarts=0)  # four starts for another wiring
        await world.looks()
        assert world.metric("node_restarts_total") == 0
        world.node.tells(starts=7, restarts=2)  # two while the engine was busy
        await world.looks()
        assert world.metric("node_restarts_total") == 2
        await world.looks()
        assert world.metric("node_restarts_total") == 2


async def test_the_chain_is_told_of_from_its_first_answer_until_its_election_is_over(tmp_path: Path) -> None:
    world = Voting(tmp_path, tallying=tally, archiving=archive, reset=reset)
    async with world.voting():
        await world.looks()
        assert world.metric("last_block_timestamp_seconds") is None, "a restart is no chain that stands still"
        assert world.metric("chain_height") is None
        world.node.tells(height=17, last_block_time=START)
        await world.looks()
        assert world.metric("chain_height") == 17
        assert world.metric("last_block_timestamp_seconds") == START.timestamp()
        world.ctx.metrics.votes_cast(42)
        world.database.answer = overview()
        world.node.tells(tip_date=block0().dates.vote_end)
        await world.reaches(Phase.WAITING)
        await world.looks()
        for name in ("chain_height", "last_block_timestamp_seconds", "votes_cast", "block0_bytes"):
            assert world.metric(name) is None, "the next election's chain has not begun"


async def test_the_election_in_work_and_the_size_of_its_block0(due: Callable[..., World], tmp_path: Path) -> None:
    world = due()
    async with world.running():
        await world.reaches(Phase.FETCHING_KEY)
        await world.looks()
        assert world.metric("election_info", election="first", block0_hash="") == 1
        assert world.metric("block0_bytes") is None
        world.database.answer = overview()
        await world.rereads()
        assert world.metric("election_info", election="first", block0_hash="") is None
    world = Voting(tmp_path)
    async with world.voting():
        await world.looks()
        assert world.metric("election_info", election="first", block0_hash=block0().hash) == 1
        assert world.metric("block0_bytes") == block0().size


async def test_the_room_on_the_disk(due: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    world, asked = due(), set()

    def usage(path: Path) -> tuple[int, int, int]:
        asked.add(path)
        return shutil._ntuple_diskusage(total=1000, used=900, free=100)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    async with world.running():
        await world.looks()
        assert world.metric("storage_size_bytes") == 1000
        assert world.metric("storage_free_bytes") == 100
        assert asked == {world.ctx.workspace.root}


async def test_an_election_to_come_is_told_of_by_its_row(due: Callable[..., World]) -> None:
    world = due(early=30)
    async with world.running():
        await world.looks()
        moments = {"chain_start": 0, "voting_start": 1, "voting_end": 2, "tallying_end": 3, "close": 4}
        for moment, hours in moments.items():
            at = (START + timedelta(hours=hours)).timestamp()
            assert world.metric("election_timestamp_seconds", election="first", moment=moment) == at
        assert world.metric("election_step_done", election="first", step="block0_published") == 0
        assert world.metric("election_step_done", election="first", step="results_posted") == 0
        world.database.answer = overview(election(cancelled=True))
        await world.rereads()
        assert world.metric("election_timestamp_seconds", election="first", moment="voting_start") is None
        assert world.metric("election_step_done", election="first", step="block0_published") is None


async def test_a_published_election_is_told_of_by_its_block0_until_it_is_closed(tmp_path: Path) -> None:
    world = Voting(tmp_path, tallying=tally, archiving=archive, reset=reset)
    dates = block0().dates
    async with world.voting():
        await world.looks()
        moments = {
            "chain_start": dates.clock.start,
            "voting_start": dates.vote_start_time,
            "voting_end": dates.vote_end_time,
            "tallying_end": dates.committee_end_time,
            "close": dates.committee_end_time + timedelta(minutes=60),
        }
        for moment, at in moments.items():
            assert world.metric("election_timestamp_seconds", election="first", moment=moment) == at.timestamp()
        assert world.metric("election_step_done", election="first", step="block0_published") == 1
        assert world.metric("election_buildable", election="first") is None, "it is built"
        world.database.answer = overview(election(block0=block0(), results_posted=True))
        await world.rereads()
        assert world.metric("election_step_done", election="first", step="results_posted") == 1
        world.database.failure = TemporaryError("DatabaseUnavailable", "refused")
        await world.rereads()
        assert world.metric("election_step_done", election="first", step="results_posted") == 1, "known from before"
        world.database.failure, world.database.answer = None, overview()
        await world.rereads()
        assert world.metric("election_step_done", election="first", step="results_posted") is None


async def test_whether_a_block0_can_be_made(due: Callable[..., World]) -> None:
    async def wait(ctx: Context) -> Decision:
        await ctx.next_look()
        known = ctx.known_overview()
        problem = PermanentError("SpecificationInvalid", "no voters")
        ctx.checked[1] = (ctx.to_check(known.elections[0], known), problem)
        ctx.mailbox.look_again()
        return await never(ctx)

    world = due(early=30, waiting=wait)
    async with world.running():
        await world.looks(3)
        assert world.metric("election_buildable", election="first") == 0
        world.database.answer = overview(election(revision=2))
        await world.rereads()
        assert world.metric("election_buildable", election="first") == 1, "nothing is known against it as it stands now"
