"""Tallies that are refused, forgotten, lost or too late."""

import json
from collections import deque
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest

from node_fsm.chain.recount import Recount
from node_fsm.core.conditions import ConditionType
from node_fsm.core.errors import ServiceError, TemporaryError
from node_fsm.core.events import Event
from node_fsm.steps.settling import SETTLING
from node_fsm.steps.tally_chain import ATTEMPTS
from states.tallying import READY_SECONDS, Tallying
from tests.phases.small_election import TALLYING_END, VOTING_END
from tests.phases.world import World
from tests.support.genesis_encoder import fragment_id
from tests.support.memory_database import DATABASE_AWAY
from tests.support.virtual_time import LoopClock

VOTES = ((1, 10, 0), (0, 0))
WINDOW = TALLYING_END - VOTING_END


@pytest.fixture
async def ended(world: World) -> World:
    """A chain whose voting has just ended."""
    await world.end_voting()
    return world


def counted(world: World) -> Recount:
    assert world.node.chain is not None
    return world.node.chain.counted()


async def failing(world: World) -> ServiceError:
    """How an attempt at tallying fails."""
    with pytest.raises(ServiceError) as failure:
        await world.finish(Tallying())
    return failure.value


def assert_tallied_on_chain(world: World) -> None:
    (result,) = world.results
    assert (result.votes, result.on_chain) == (VOTES, True)
    assert result.fragment_id in [found.fragment_id for found in counted(world).tallies]
    assert world.condition(ConditionType.TALLY_WINDOW_MISSED) is None


@pytest.mark.parametrize("times", [1, ATTEMPTS - 1])
async def test_a_tally_that_a_block_refuses_is_posted_again(ended: World, times: int) -> None:
    ended.node.rejections = deque(["another counter"] * times)
    before = len(ended.node.posted)
    await ended.finish(Tallying())
    assert_tallied_on_chain(ended)
    assert len(ended.node.posted) == before + times + 1


@pytest.mark.parametrize("times", [1, ATTEMPTS - 1])
async def test_a_tally_that_the_node_does_not_take_is_posted_again(ended: World, times: int) -> None:
    ended.node.refusals = deque(["PoolOverflow"] * times)
    await ended.finish(Tallying())
    assert_tallied_on_chain(ended)


async def test_a_tally_that_is_refused_again_and_again_is_tried_later(ended: World) -> None:
    ended.node.rejections = deque(["another counter"] * (ATTEMPTS + 1))
    failures = await ended.insist(Tallying())
    assert {failure.reason for failure in failures} == {"TallyNotInBlock"}
    assert_tallied_on_chain(ended)


async def test_no_attempt_repeats_a_transaction_that_the_node_knows(ended: World) -> None:
    before = len(ended.node.posted)
    ended.node.rejections = deque(["another counter"] * (ATTEMPTS - 1))
    await ended.finish(Tallying())
    posted = ended.node.posted[before:]
    assert len(set(posted)) == len(posted) == ATTEMPTS


async def test_a_tally_that_a_restarted_node_forgot_is_posted_again(
    ended: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    post, restarts = ended.node.post_fragment, iter([1])

    async def post_and_die(raw: bytes) -> object:
        posted = await post(raw)
        for _ in restarts:
            ended.node.kill()
        return posted

    monkeypatch.setattr(ended.node, "post_fragment", post_and_die)  # right after it was accepted
    before = len(ended.node.posted)
    await ended.finish(Tallying())
    assert_tallied_on_chain(ended)
    assert len(ended.node.posted) == before + 2


async def test_a_tally_in_a_block_that_a_killed_node_lost_is_posted_again(
    ended: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, deaths = ended.node.next_ids, iter([1])

    async def die_once_it_is_in_a_block(block_id: str, count: int) -> list[str] | None:
        ended.node.grow()
        if counted(ended).tallies:
            for _ in deaths:
                await answer(block_id, count)
                ended.node.kill(lost_blocks=1)
        return await answer(block_id, count)

    monkeypatch.setattr(ended.node, "next_ids", die_once_it_is_in_a_block)
    await ended.finish(Tallying())
    assert_tallied_on_chain(ended)
    (found,) = counted(ended).tallies
    assert ended.clock.now() >= ended.ctx.block0_in_work().dates.clock.time_at(found.block_date) + SETTLING


async def test_a_tally_that_left_the_chain_while_it_settled_is_noticed(
    ended: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied, looks = ended.node.next_ids, count()

    async def lose_what_was_copied(block_id: str, wanted: int) -> list[str] | None:
        ids = await copied(block_id, wanted)
        if counted(ended).tallies and ids == [] and next(looks):  # the copy has it, and it was seen there once
            ended.node.kill(lost_blocks=1)
            monkeypatch.setattr(ended.node, "next_ids", copied)
        return ids

    monkeypatch.setattr(ended.node, "next_ids", lose_what_was_copied)
    assert (await failing(ended)).reason == "TallyLost"
    assert ended.database.posted == {}
    await ended.finish(Tallying())
    assert_tallied_on_chain(ended)


async def test_a_chain_that_stands_still_is_waited_for(ended: World) -> None:
    ended.node.stalled = True
    ended.clock.advance(seconds=1)
    ended.node.kill(lost_blocks=2)  # of which one ended voting
    assert (await failing(ended)).reason == "ChainStandsStill"
    ended.node.stalled = False
    await ended.finish(Tallying())
    assert_tallied_on_chain(ended)


async def test_a_tally_that_stays_pending_is_told(ended: World) -> None:
    ended.clock.advance(seconds=3)
    ended.node.grow()
    ended.node.stalled = True
    failure = await failing(ended)
    assert failure.reason == "TallyPending"
    assert fragment_id(ended.node.posted[-1]) in failure.message
    ended.node.stalled = False
    await ended.finish(Tallying())
    assert_tallied_on_chain(ended)
    assert len(counted(ended).tallies) == 1, "it was in the mempool all the time"


async def test_a_node_that_does_not_run_is_waited_for(ended: World) -> None:
    ended.node.broken = True
    ended.node.kill(up=False)
    failure = await failing(ended)
    assert failure.reason == "NodeNotReady"
    assert f"{READY_SECONDS:g} s" in failure.message


async def test_what_the_node_could_not_say_is_asked_again(ended: World, monkeypatch: pytest.MonkeyPatch) -> None:
    save, failures = ended.node.save_records, iter([1])

    async def fail_once(directory: Path) -> None:
        for _ in failures:
            raise TemporaryError("NodeUnavailable", "gone")
        await save(directory)

    monkeypatch.setattr(ended.node, "save_records", fail_once)
    assert (await failing(ended)).reason == "NodeUnavailable"
    assert not ended.chain.record.exists()
    await ended.finish(Tallying())
    assert_tallied_on_chain(ended)


async def test_after_the_window_the_count_is_posted_without_a_tally(ended: World) -> None:
    ended.clock.advance(seconds=WINDOW)
    posted = len(ended.node.posted)
    decision = await ended.finish(Tallying())
    assert decision.event is Event.RESULTS_POSTED
    (result,) = ended.results
    assert (result.votes, result.fragment_id, result.on_chain) == (VOTES, None, False)
    assert ended.condition(ConditionType.TALLY_WINDOW_MISSED) == "TallyNotOnChain"
    assert ended.plans[0].id in ended.message(ConditionType.TALLY_WINDOW_MISSED)
    assert len(ended.node.posted) == posted
    assert json.loads((ended.chain.record / "vote-plans.json").read_bytes())


async def test_after_the_window_a_tally_that_was_in_time_counts(ended: World) -> None:
    ended.database.refused["post_results"] = deque([DATABASE_AWAY])
    await failing(ended)
    ended.clock.advance(seconds=WINDOW)
    await ended.finish(Tallying())
    assert_tallied_on_chain(ended)


async def test_after_the_window_the_node_is_not_needed_when_everything_is_here(ended: World) -> None:
    ended.database.refused["post_results"] = deque([DATABASE_AWAY])
    await failing(ended)
    ended.clock.advance(seconds=WINDOW)
    await ended.node.stop()
    await ended.finish(Tallying())
    assert ended.results[0].on_chain


async def test_a_window_that_closes_meanwhile_ends_the_attempts(ended: World) -> None:
    ended.clock.advance(seconds=WINDOW - 10)
    ended.node.rejections = deque(["another counter"] * 100)
    await ended.insist(Tallying())
    assert not ended.results[0].on_chain
    assert ended.condition(ConditionType.TALLY_WINDOW_MISSED) == "TallyNotOnChain"
    assert ended.clock.now() >= ended.ctx.block0_in_work().dates.committee_end_time


async def test_a_window_that_closes_while_the_database_is_away(ended: World) -> None:
    ended.clock.advance(seconds=WINDOW)
    ended.database.failure = DATABASE_AWAY
    assert (await failing(ended)).reason == "DatabaseUnavailable"
    ended.database.failure = None
    await ended.finish(Tallying())
    assert not ended.results[0].on_chain


class Ahead(NamedTuple):
    """A clock that is ahead of another one."""

    clock: LoopClock
    by: timedelta

    def now(self) -> datetime:
        return self.clock.now() + self.by

    def monotonic(self) -> float:
        return self.clock.monotonic()


async def test_a_clock_that_is_ahead_closes_no_window(ended: World) -> None:
    """The chain takes tallies by its own dates."""
    ended.ctx.clock = Ahead(ended.clock, timedelta(hours=1))
    ended.ctx.conditions.raise_(ConditionType.CLOCK_WRONG, "ClockWrong", "an hour ahead")
    await ended.finish(Tallying())
    assert_tallied_on_chain(ended)


async def test_a_clock_that_is_behind_keeps_no_window_open(ended: World) -> None:
    ended.clock.advance(seconds=WINDOW)
    ended.ctx.clock = Ahead(ended.clock, timedelta(seconds=-2 * WINDOW))
    await ended.insist(Tallying())
    assert ended.condition(ConditionType.TALLY_WINDOW_MISSED) == "TallyNotOnChain"
