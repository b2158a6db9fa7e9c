"""What a node says of the others of its chain: alone, apart, behind."""

import asyncio
import shutil
from dataclasses import replace
from datetime import timedelta

import pytest

from node_fsm.core.conditions import ConditionType
from node_fsm.core.model import ArchiveKind, ChainCopy, NodeReport, StoredArchive
from node_fsm.steps.split import CONDITIONS, SILENT_SECONDS
from states.reset import Reset
from states.running import Running
from states.tallying import Tallying
from tests.phases.small_election import TALLYING_END, VOTING_END
from tests.phases.test_running import copied, height, is_followed, vote, votes_cast
from tests.phases.world import World
from tests.support.fakes import FACT
from tests.support.memory_database import DATABASE_AWAY


def report(world: World, height: int, tip: str) -> None:
    """Have leader 2 report a tip, later than whatever it reported before."""
    before = world.database.statuses.get("leader2")
    at = before.updated_at + timedelta(seconds=5) if before else world.clock.now()
    status = NodeReport(
        hostname="leader2",
        phase="Running",
        since=at,
        election_id=1,
        block0_hash=world.hash,
        height=height,
        tip=tip,
        tip_date="0.0",
        peers=1,
        conditions=(),
        version="0",
        updated_at=at,
        holds_chain=False,
    )
    world.database.statuses["leader2"] = status


async def hear(world: World, reports: int, height: int, tip: str | None = None) -> None:
    """Let *reports* be heard one by one; without a tip they are of this node's own chain."""
    assert world.node.chain is not None
    for _ in range(reports):
        report(world, height, tip or world.node.chain.ids[height])
        heard = world.database.calls["neighbours"] + 1
        await world.until(lambda heard=heard: world.database.calls["neighbours"] > heard)  # type: ignore[misc]


async def test_a_node_without_peers_says_so(leader1: World) -> None:
    async with leader1.doing(Running()):
        await leader1.until(lambda: height(leader1) > 3)
        assert leader1.condition(ConditionType.ISOLATED) is None, "others may be about to start"
        await leader1.until(lambda: leader1.condition(ConditionType.ISOLATED) == "NoPeers", 30)
        leader1.node.tells(peers_connected=1)
        await leader1.until(lambda: leader1.condition(ConditionType.ISOLATED) is None, 5)


async def test_a_leader_0_that_is_the_only_leader_is_not_isolated(world: World) -> None:
    world.database.nodes = world.database.nodes[:1]
    await world.publish()
    async with world.doing(Running()):
        await world.until(lambda: height(world) > 40)
        assert world.condition(ConditionType.ISOLATED) is None
        assert world.database.calls["neighbours"] == 0


@pytest.fixture
async def in_company(leader1: World) -> World:
    leader1.node.tells(peers_connected=2)
    return leader1


async def test_a_tip_of_another_chain_is_a_split(in_company: World) -> None:
    async with in_company.doing(Running()) as failures:
        await in_company.until(lambda: height(in_company) > 20)
        await hear(in_company, 1, 5)
        await hear(in_company, 1, 10, "other chain")
        assert in_company.condition(ConditionType.SPLIT_BRAIN) is None, (
            "the block may have been replaced a moment later"
        )
        await hear(in_company, 1, 11, "other chain too")
        assert in_company.condition(ConditionType.SPLIT_BRAIN) == "TipsDiffer"
        assert "leader2 reported block other ch at height 11" in in_company.message(ConditionType.SPLIT_BRAIN)
        await hear(in_company, 1, 12)
        assert in_company.condition(ConditionType.SPLIT_BRAIN) is None
        assert in_company.condition(ConditionType.CHAIN_BEHIND) is None
    assert failures == []


async def test_what_a_node_said_before_it_died_is_no_split(in_company: World) -> None:
    """It died with a block that nobody else has, and does not report any more."""
    async with in_company.doing(Running()):
        await in_company.until(lambda: height(in_company) > 20)
        report(in_company, 10, "a lost block")
        await in_company.until(lambda: height(in_company) > 60)
        assert in_company.condition(ConditionType.SPLIT_BRAIN) is None


async def test_a_split_with_a_node_that_fell_silent_is_forgotten(in_company: World) -> None:
    async with in_company.doing(Running()):
        await in_company.until(lambda: height(in_company) > 20)
        await hear(in_company, 3, 10, "other chain")
        assert in_company.condition(ConditionType.SPLIT_BRAIN) == "TipsDiffer"
        await in_company.until(lambda: in_company.condition(ConditionType.SPLIT_BRAIN) is None, SILENT_SECONDS + 15)


async def test_a_node_far_behind_the_others_says_so(in_company: World) -> None:
    async with in_company.doing(Running()):
        await in_company.until(lambda: height(in_company) > 20)
        await hear(in_company, 3, 1000, "far ahead")
        assert in_company.condition(ConditionType.CHAIN_BEHIND) == "OthersAhead"
        assert "leader2 reported block far ahea at height 1000" in in_company.message(ConditionType.CHAIN_BEHIND)
        assert in_company.condition(ConditionType.SPLIT_BRAIN) is None
        assert in_company.node.is_overtaken
        await hear(in_company, 1, 15)
        assert in_company.condition(ConditionType.CHAIN_BEHIND) is None
        assert not in_company.node.is_overtaken


async def test_the_others_are_left_alone_while_the_database_is_away(in_company: World) -> None:
    async with in_company.doing(Running()) as failures:
        await in_company.until(lambda: height(in_company) > 20)
        in_company.database.failure = DATABASE_AWAY
        await in_company.until(lambda: height(in_company) > 60)
        await in_company.until(lambda: is_followed(in_company))
    assert failures == []


def test_what_is_said_of_the_others_ends_with_the_phases_of_the_chain() -> None:
    assert Running.conditions >= CONDITIONS
    assert Tallying.conditions >= CONDITIONS


async def test_nothing_is_said_of_the_others_while_the_node_is_down(leader1: World) -> None:
    async with leader1.doing(Running()):
        await leader1.until(lambda: height(leader1) > 3)
        await hear(leader1, 3, 2, "other chain")
        assert {held.type for held in leader1.ctx.conditions} == {ConditionType.ISOLATED, ConditionType.SPLIT_BRAIN}
        leader1.node.kill(up=False)
        await leader1.until(lambda: list(leader1.ctx.conditions) == [], 5)
        await leader1.until(lambda: leader1.node.state.running, 5)
        await asyncio.sleep(12)
        assert leader1.condition(ConditionType.SPLIT_BRAIN) is None, "what was known before is old"


async def test_once_voting_is_over_other_nodes_may_be_left_alone(leader1: World) -> None:
    """Leader 0 stops its node to archive the chain."""
    async with leader1.doing(Running()):
        await leader1.until(lambda: leader1.condition(ConditionType.ISOLATED) == "NoPeers")
        await leader1.until(lambda: height(leader1) > VOTING_END + 1)
        await leader1.until(lambda: leader1.condition(ConditionType.ISOLATED) is None, 5)


async def test_a_split_is_noted_beside_the_chain_until_it_is_healed(in_company: World) -> None:
    async with in_company.doing(Running()):
        await in_company.until(lambda: height(in_company) > 20)
        await hear(in_company, 3, 10, "other chain")
        assert in_company.chain.disputed.exists()
        await hear(in_company, 1, 12)
        assert not in_company.chain.disputed.exists()


async def test_a_chain_that_was_split_is_set_aside_although_an_archive_has_its_name(in_company: World) -> None:
    """Leader 0 archived the other part of it."""
    async with in_company.doing(Running()):
        await in_company.until(lambda: height(in_company) > 20)
        await hear(in_company, 3, 10, "other chain")
    archived = StoredArchive(
        *(1, "first", in_company.hash, "run", ArchiveKind.FINAL, "other tip", "s3://x", "", 1, ""),
        verified_at=in_company.clock.now(),
    )
    await in_company.database.save_archive(archived, FACT)
    await in_company.finish(Reset())
    assert in_company.ctx.workspace.chains() == ()
    assert len(in_company.ctx.workspace.set_aside_chains()) == 1


async def tally(world: World) -> float:
    """Tally after a vote that has ended; how many seconds it took."""
    began = world.clock.now()
    await world.finish(Tallying())
    return (world.clock.now() - began).total_seconds()


async def test_a_tally_does_not_wait_for_others_while_some_are_connected(world: World) -> None:
    await world.end_voting()
    world.node.tells(peers_connected=1)
    assert await tally(world) < 10
    assert world.database.calls["neighbours"] == 0


async def test_a_tally_waits_shortly_when_nobody_is_connected_and_nobody_speaks(world: World) -> None:
    await world.end_voting()
    assert 20 <= await tally(world) < 30
    assert world.results


async def test_a_leader_0_that_was_cut_off_does_not_count_its_part_of_the_votes(world: World) -> None:
    """As long as the others speak of another chain, and as there is time: then it counts what it has, and says so."""
    await world.end_voting()
    half = (TALLYING_END - VOTING_END) / 2

    async def others() -> None:
        for height_ in range(1000, 2000):
            report(world, height_, "other chain")
            await asyncio.sleep(5)

    task = asyncio.create_task(others())
    assert half - 5 <= await tally(world) < half + 15
    task.cancel()
    assert world.condition(ConditionType.CHAIN_BEHIND) == "OthersAhead"
    assert world.results


async def test_a_leader_0_that_is_back_with_the_others_counts_at_once(world: World) -> None:
    await world.end_voting()

    async def heal() -> None:
        await asyncio.sleep(12)
        world.node.tells(peers_connected=1)
        for _ in range(3):
            assert world.node.chain is not None
            report(world, world.node.chain.tip.height, world.node.chain.tip.id)
            await asyncio.sleep(5)

    task = asyncio.create_task(heal())
    assert 12 <= await tally(world) < 30
    task.cancel()


async def test_votes_of_a_part_of_the_chain_that_was_given_up_are_posted_again(published: World) -> None:
    """Two halves of a cluster meet again: the shorter one's blocks are gone, and with them the votes in them."""
    async with published.doing(Running()) as failures:
        await published.until(lambda: height(published) > 63)
        await vote(published, 0)
        await published.until(lambda: votes_cast(published) == 1 and is_followed(published))
        starts = published.node.state.starts
        published.node.turn(4)
        await published.until(lambda: votes_cast(published) == 1 and is_followed(published))
        assert published.node.state.starts == starts
        assert copied(published).count(published.node.posted[0]) == 1
    assert failures == []


async def others_speak(world: World, ahead: int = 1000) -> None:
    """Leader 2 goes on reporting another chain."""
    for number in range(200):
        assert world.node.chain is not None
        report(world, world.node.chain.tip.height + ahead, f"other chain {number}")
        await asyncio.sleep(5)


async def test_a_database_that_is_away_is_not_taken_for_the_others_silence(world: World) -> None:
    await world.end_voting()
    world.database.failure = DATABASE_AWAY
    speaking = asyncio.create_task(others_speak(world))

    async def come_back() -> None:
        await asyncio.sleep(22)
        world.database.failure = None

    back = asyncio.create_task(come_back())
    assert await tally(world) >= (TALLYING_END - VOTING_END) / 2 - 5
    await back
    speaking.cancel()


async def test_a_split_that_was_noted_holds_a_tally_also_after_a_restart(world: World) -> None:
    await world.end_voting()
    world.chain.disputed.write_text("leader2")
    world.node.tells(peers_connected=1)  # a follower in its part
    speaking = asyncio.create_task(others_speak(world))
    assert await tally(world) >= 20
    speaking.cancel()


async def test_a_split_is_not_healed_by_the_silence_of_the_other_part(in_company: World) -> None:
    async with in_company.doing(Running()):
        await in_company.until(lambda: height(in_company) > 20)
        await hear(in_company, 3, 10, "other chain")
        for number in range(40):  # one that is in our part goes on
            assert in_company.node.chain is not None
            ids = in_company.node.chain.ids
            at = in_company.clock.now()
            tip = replace(in_company.database.statuses["leader2"], height=len(ids) - 1, tip=ids[-1], updated_at=at)
            in_company.database.statuses["leader3"] = replace(tip, hostname="leader3")
            await asyncio.sleep(5)
            assert in_company.chain.disputed.read_text() == "leader2", number


@pytest.mark.parametrize("after", [0.0, 0.3, 0.9, 1.5, 2.5, 4.5])
async def test_what_is_posted_is_what_the_chain_says_whenever_it_turns(world: World, after: float) -> None:
    """A peer is connected before the node takes over its longer chain, on which nobody's vote is."""
    await world.end_voting()
    speaking = asyncio.create_task(others_speak(world, ahead=3))

    async def heal() -> None:
        await asyncio.sleep(13)
        world.node.tells(peers_connected=1)
        await asyncio.sleep(after)
        world.node.turn(60)

    healing = asyncio.create_task(heal())
    failures = await world.insist(Tallying())
    await healing
    speaking.cancel()
    assert {failure.reason for failure in failures} <= {"TallyLost", "ChainTurned", "TallyNotInBlock"}
    (plan,) = world.plans
    assert world.node.chain is not None
    counted = world.node.chain.counted().plans[plan.id].proposals
    assert [tuple(proposal.weights or ()) for proposal in counted] == list(world.results[0].votes)


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
