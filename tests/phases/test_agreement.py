"""Leader 0 counts a chain of which a majority of the leaders has said that it has the last counted block."""

import asyncio
import shutil
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from node_fsm.core.cluster import ChainCopy, ChainStatement
from node_fsm.core.conditions import ConditionType
from node_fsm.core.errors import ServiceError
from node_fsm.core.marks import Mark
from node_fsm.core.model import NodeRow
from node_fsm.steps.agreement import LISTENING_SECONDS
from states.tallying import Tallying
from tests.phases.small_election import TALLYING_END, VOTING_END
from tests.phases.world import World
from tests.support.fake_jcli import new_secret, public_key
from tests.support.memory_database import DATABASE_AWAY

WINDOW = TALLYING_END - VOTING_END
VOTES = ((1, 10, 0), (0, 0))


async def tally(world: World) -> float:
    """Tally after a vote that has ended; how many seconds it took."""
    began = world.clock.now()
    await world.finish(Tallying())
    return (world.clock.now() - began).total_seconds()


def since_voting(world: World) -> float:
    return (world.clock.now() - world.ctx.block0_in_work().dates.vote_end_time).total_seconds()


@pytest.fixture
async def apart(world: World) -> World:
    """Leader 0 after the end of voting; leader 1 does not say that it has the same chain."""
    world.in_agreement = False
    await world.end_voting()
    world.database.statuses.clear()
    return world


@asynccontextmanager
async def another_chain(world: World, ahead: int = 1000) -> AsyncIterator[None]:
    """Leader 1 goes on reporting another chain, higher than that of leader 0."""

    async def speak() -> None:
        world.leader1_agrees()
        while True:
            assert world.node.chain is not None
            height = world.node.chain.tip.height + ahead
            said = ChainStatement((Mark(height, "other tip"),), ("leader0",), "other last block")
            report = replace(world.database.statuses["leader1"], height=height, tip="other tip", statement=said)
            world.database.statuses["leader1"] = replace(report, updated_at=world.clock.now())
            await asyncio.sleep(1)

    task = asyncio.create_task(speak())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_a_chain_that_everybody_has_is_counted_within_seconds(world: World) -> None:
    await world.end_voting()
    assert await tally(world) < 6
    assert world.results[0].votes == VOTES
    assert world.database.disputes == {}
    assert world.condition(ConditionType.TALLY_WAITS) is None


async def test_the_only_leader_of_a_chain_asks_nobody(world: World) -> None:
    world.database.nodes = [node for node in world.database.nodes if node.hostname != "leader1"]
    world.in_agreement = False
    await world.end_voting()
    assert await tally(world) < 6
    assert world.database.calls["neighbours"] == 0
    assert world.database.disputes == {}


async def test_silence_is_no_agreement(apart: World) -> None:
    """Half of the time to tally is waited; what is counted then is disputed, on record, until a person confirms it."""
    task = asyncio.create_task(tally(apart))
    await apart.until(lambda: apart.condition(ConditionType.TALLY_WAITS) == "MajorityMissing")
    message = apart.message(ConditionType.TALLY_WAITS)
    assert "1 of 2 leaders have the last counted block (leader0); leader1 have not said" in message
    assert "`node-fsm election confirm first`" in message
    await apart.until(lambda: apart.hash in apart.database.posted)
    assert WINDOW / 2 - 5 <= since_voting(apart) < WINDOW / 2 + 10
    assert apart.results[0].votes == VOTES
    assert WINDOW - 5 <= await task < WINDOW + 10, "it is not archived before nobody can come back in time"
    assert apart.database.disputes[apart.hash].why.startswith("1 of 2 leaders have")
    assert apart.condition(ConditionType.TALLY_WAITS) is None


async def test_a_leader_0_behind_the_others_does_not_count_its_part_of_the_votes(apart: World) -> None:
    async with another_chain(apart):
        assert WINDOW - 5 <= await tally(apart) < WINDOW + 10
    assert "leader1 have another one" in apart.database.disputes[apart.hash].why
    assert apart.condition(ConditionType.SPLIT_BRAIN) == "TipsDiffer"


async def test_two_of_three_leaders_are_enough(world: World) -> None:
    world.database.nodes.append(NodeRow("leader2", public_key(new_secret("leader 2")), None))
    await world.end_voting()
    assert await tally(world) < 6
    assert world.database.disputes == {}


async def test_once_the_parts_meet_the_count_goes_on(apart: World) -> None:
    async def heal() -> None:
        await asyncio.sleep(12)
        apart.in_agreement = True

    healing = asyncio.create_task(heal())
    assert 12 <= await tally(apart) < 20
    await healing
    assert apart.database.disputes == {}


async def test_who_just_has_not_reported_yet_is_not_called_missing(apart: World) -> None:
    tallying = asyncio.create_task(tally(apart))
    for _ in range(int(LISTENING_SECONDS / 2)):
        await asyncio.sleep(1)
        assert apart.condition(ConditionType.TALLY_WAITS) is None
    assert not tallying.done()
    apart.in_agreement = True
    await tallying
    assert apart.database.disputes == {}


async def test_who_has_another_last_block_is_named_at_once(apart: World) -> None:
    async with another_chain(apart):
        tallying = asyncio.create_task(tally(apart))
        await asyncio.sleep(LISTENING_SECONDS / 2)
        assert "leader1 have another one" in apart.message(ConditionType.TALLY_WAITS)
        apart.database.confirmed.add(apart.hash)
        await tallying


async def test_a_person_may_have_the_chain_counted_at_once(apart: World) -> None:
    async def confirm() -> None:
        await asyncio.sleep(7)
        apart.database.confirmed.add(apart.hash)

    confirming = asyncio.create_task(confirm())
    assert 7 <= await tally(apart) < 15
    await confirming
    assert apart.database.disputes == {}


async def test_a_database_that_is_away_is_not_taken_for_silence(apart: World) -> None:
    """Before anything is posted the others are asked after all, however late it is."""
    apart.database.failure = DATABASE_AWAY
    with pytest.raises(ServiceError, match="DatabaseUnavailable"):
        await tally(apart)
    assert apart.clock.now() >= apart.ctx.block0_in_work().dates.vote_end_time
    apart.database.failure = None
    apart.in_agreement = True
    assert await tally(apart) < LISTENING_SECONDS
    assert apart.database.disputes == {}
    assert apart.results[0].on_chain, "the time for that is short, so it is on the chain before the database is back"


async def test_a_database_that_comes_back_is_asked_once_it_says_who_the_leaders_are(world: World) -> None:
    """Reports are read by the tally, jorm_nodes by the engine's looks: either may be first."""
    await world.end_voting()
    world.database.refused["overview"] = deque([DATABASE_AWAY] * 4)
    await tally(world)
    assert not world.database.refused["overview"]
    assert world.database.disputes == {}


async def test_a_dispute_outlives_the_life_that_found_it(apart: World) -> None:
    """Killed before the results are posted, and started when the time to tally is over and nobody is there."""
    apart.database.refused["post_results"] = deque([DATABASE_AWAY])
    with pytest.raises(ServiceError, match="DatabaseUnavailable"):
        await tally(apart)
    apart.clock.advance(seconds=WINDOW)
    await tally(apart)
    assert apart.database.disputes[apart.hash].why.startswith("1 of 2 leaders have")


@pytest.mark.parametrize("after", [0.0, 0.3, 0.9, 1.5, 2.5, 4.5])
async def test_what_is_posted_is_what_the_chain_says_whenever_it_turns(apart: World, after: float) -> None:
    """A peer is connected before the node takes over its longer chain, on which nobody's vote is."""

    async def heal() -> None:
        async with another_chain(apart, ahead=3):
            await asyncio.sleep(13)
            apart.node.tells(peers_connected=1)
            await asyncio.sleep(after)
            apart.node.turn(60)
        apart.in_agreement = True

    healing = asyncio.create_task(heal())
    failures = await apart.insist(Tallying())
    await healing
    assert {failure.reason for failure in failures} <= {"TallyLost", "ChainTurned", "TallyNotInBlock"}
    (plan,) = apart.plans
    assert apart.node.chain is not None
    counted = apart.node.chain.counted().plans[plan.id].proposals
    assert [tuple(proposal.weights or ()) for proposal in counted] == list(apart.results[0].votes)
    assert apart.database.disputes == {}


async def test_a_node_that_lost_its_disk_while_tallying_is_wired_anew(world: World) -> None:
    await world.end_voting()
    copies = {name: ChainCopy(name, 80, lost=False, is_leader=True) for name in ("leader0", "leader1")}
    world.database.copies[world.hash] = copies
    world.node.kill(up=False)
    shutil.rmtree(world.chain.storage)
    await world.insist(Tallying())
    assert world.database.copies[world.hash]["leader0"].lost
    assert not world.node.required[-1].seed
    assert world.results
