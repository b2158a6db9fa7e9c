"""What a node says of the others of its chain: alone, apart, behind."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from node_fsm.core.cluster import ChainStatement, NodeReport
from node_fsm.core.conditions import ConditionType
from node_fsm.core.marks import Mark
from node_fsm.steps.adopt import adopt_block0, open_copy
from node_fsm.steps.split import CONDITIONS, SILENT_SECONDS, Neighbours
from node_fsm.steps.wiring import require_node
from states.running import Running
from states.tallying import Tallying
from tests.phases.small_election import VOTING_END
from tests.phases.test_running import copied, height, is_followed, vote, votes_cast
from tests.phases.world import World
from tests.support.memory_database import DATABASE_AWAY


def report(
    world: World, height: int, tip: str, *, hostname: str = "leader2", said: ChainStatement | None = None
) -> None:
    """Have another node report a tip, later than whatever it reported before."""
    before = world.database.statuses.get(hostname)
    at = before.updated_at + timedelta(seconds=5) if before else world.clock.now()
    status = NodeReport(
        hostname=hostname,
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
        statement=said or ChainStatement((Mark(height, tip),), (), None),
    )
    world.database.statuses[hostname] = status


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


async def test_the_standstill_of_a_node_without_peers_is_its_own_fault_also_while_the_database_is_away(
    leader1: World,
) -> None:
    """A real node does not look for lost peers again; the restart that helps needs nobody's word."""
    leader1.node.tells(peers_connected=1)
    async with leader1.doing(Running()):
        await leader1.until(lambda: height(leader1) > 3)
        leader1.database.failure = DATABASE_AWAY
        await asyncio.sleep(30)
        assert not leader1.node.is_overtaken
        leader1.node.tells(peers_connected=0)
        await leader1.until(lambda: leader1.node.is_overtaken, 30)
        leader1.node.tells(peers_connected=1)
        await leader1.until(lambda: not leader1.node.is_overtaken, 5)


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
        assert in_company.message(ConditionType.SPLIT_BRAIN).startswith("leader2: on another chain")
        await hear(in_company, 1, 12)
        assert in_company.condition(ConditionType.SPLIT_BRAIN) is None
        assert in_company.condition(ConditionType.CHAIN_BEHIND) is None
    assert failures == []


async def test_where_votes_part_is_known_from_one_report(in_company: World) -> None:
    """What is done about votes by it does no harm when it was a block that was replaced a moment later."""
    async with in_company.looking():
        chain, head = await adopt_block0(in_company.ctx)
        await require_node(in_company.ctx, chain, head.leader_ids)
        others, copy = Neighbours(in_company.ctx, head.leader_ids), await open_copy(chain)

        async def hear(height: int, tip: str) -> int | None:
            await copy.advance(in_company.node)
            report(
                in_company,
                height,
                tip,
                said=ChainStatement((Mark(height, tip), Mark(4, copy.id_at(4) or "")), (), None),
            )
            await others.compare(copy, at_once=True)
            return others.parted_behind

        in_company.clock.advance(seconds=20)
        assert await hear(5, "before") is None, "it may be old"
        assert await hear(6, "other chain") == 4
        assert in_company.condition(ConditionType.SPLIT_BRAIN) is None
        assert await hear(7, copy.id_at(7) or "") is None


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
        assert in_company.message(ConditionType.CHAIN_BEHIND).startswith("leader2: more than 10 blocks ahead")
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


async def test_a_split_is_not_healed_by_the_silence_of_the_other_part(in_company: World) -> None:
    async with in_company.doing(Running()):
        await in_company.until(lambda: height(in_company) > 20)
        await hear(in_company, 3, 10, "other chain")
        for number in range(40):  # one that is in our part goes on
            assert in_company.node.chain is not None
            ids = in_company.node.chain.ids
            at = in_company.clock.now()
            said = ChainStatement((Mark(len(ids) - 1, ids[-1]),), (), None)
            tip = replace(in_company.database.statuses["leader2"], height=len(ids) - 1, updated_at=at, statement=said)
            in_company.database.statuses["leader3"] = replace(tip, hostname="leader3")
            await asyncio.sleep(5)
            assert in_company.ctx.statement is not None
            assert in_company.ctx.statement.apart == ("leader2",), number


async def test_a_difference_deep_below_both_tips_needs_no_second_report(in_company: World) -> None:
    async with in_company.doing(Running()):
        await in_company.until(lambda: height(in_company) > 20)
        await hear(in_company, 1, 5)
        said = ChainStatement((Mark(19, "tip"), Mark(15, "other chain")), (), None)
        report(in_company, 19, "tip", said=said)
        await in_company.until(lambda: in_company.condition(ConditionType.SPLIT_BRAIN) == "TipsDiffer", 10)


async def test_a_mark_above_the_own_tip_is_compared_once_the_chain_has_grown(in_company: World) -> None:
    """The one that is behind sees it too, although the other says nothing new."""
    async with in_company.doing(Running()):
        await in_company.until(lambda: height(in_company) > 20)
        await hear(in_company, 1, 5)
        report(in_company, 30, "other chain", said=ChainStatement((Mark(30, "tip"), Mark(26, "other chain")), (), None))
        await in_company.until(lambda: height(in_company) > 25)
        assert in_company.condition(ConditionType.SPLIT_BRAIN) is None
        await in_company.until(lambda: in_company.condition(ConditionType.SPLIT_BRAIN) == "TipsDiffer", 15)


async def test_a_node_that_others_found_apart_says_so_as_well(in_company: World) -> None:
    async with in_company.doing(Running()):
        await in_company.until(lambda: height(in_company) > 20)
        report(in_company, 1000, "tip", said=ChainStatement((Mark(1000, "tip"),), (), None))
        await asyncio.sleep(6)
        assert in_company.condition(ConditionType.SPLIT_BRAIN) is None
        report(in_company, 1001, "tip", said=ChainStatement((Mark(1001, "tip"),), ("leader1",), None))
        await in_company.until(lambda: in_company.condition(ConditionType.SPLIT_BRAIN) == "TipsDiffer", 10)
        assert in_company.ctx.statement is not None
        assert in_company.ctx.statement.apart == (), "what others found is not passed on as one's own finding"


async def test_a_node_tells_its_chain_whom_it_finds_apart_and_its_last_counted_block(in_company: World) -> None:
    async with in_company.doing(Running()):
        await in_company.until(lambda: height(in_company) > 20)
        await hear(in_company, 3, 10, "other chain")
        said = in_company.ctx.statement
        assert said is not None
        assert said.apart == ("leader2",)
        assert said.last_counted is None
        chain = in_company.node.chain
        assert chain is not None
        assert all(chain.ids[mark.height] == mark.id for mark in said.marks)
        await in_company.until(lambda: height(in_company) > VOTING_END + 4)
        said = in_company.ctx.statement
        assert said is not None
        assert said.last_counted == chain.ids[VOTING_END]


async def test_a_warning_of_a_split_is_said_once_while_it_lasts(in_company: World) -> None:
    said: list[tuple[ConditionType, object]] = []
    in_company.ctx.conditions.listeners.append(lambda type_, held: said.append((type_, held)))
    async with in_company.doing(Running()):
        await in_company.until(lambda: height(in_company) > 40)
        for number in range(20):
            await hear(in_company, 1, 10 + number, "other chain")
    assert len([type_ for type_, held in said if type_ is ConditionType.SPLIT_BRAIN and held]) == 1


async def test_a_wrong_clock_is_named_as_the_likely_cause_of_a_split(in_company: World) -> None:
    async with in_company.doing(Running()):
        await in_company.until(lambda: height(in_company) > 20)
        for number in range(3):
            report(in_company, 10 + number, "other chain")
            status = in_company.database.statuses["leader2"]
            in_company.database.statuses["leader2"] = replace(status, conditions=("clock_wrong",))
            await asyncio.sleep(6)
        assert in_company.message(ConditionType.SPLIT_BRAIN).endswith("the clock of leader2 is wrong, mend that first")
