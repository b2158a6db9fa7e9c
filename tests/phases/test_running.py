"""Running: the copy follows the chain, lost votes come back, and nothing but the node is needed for that."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from node_fsm.core.cluster import ChainCopy
from node_fsm.core.conditions import ConditionType
from node_fsm.core.current import closing_time
from node_fsm.core.errors import TemporaryError
from node_fsm.core.events import Event
from node_fsm.core.phases import Role
from node_fsm.ports import Problem
from node_fsm.steps.adopt import adopt_block0
from states.running import Running
from tests.chain import build
from tests.phases.small_election import ID, account
from tests.phases.world import World
from tests.support.fakes import START
from tests.support.memory_database import DATABASE_AWAY, Row
from tests.support.memory_store import S3_AWAY


def copied(world: World) -> bytes:
    return world.chain.blocks.read_bytes() if world.chain.blocks.exists() else b""


def is_followed(world: World) -> bool:
    """Whether the copy has all blocks, but perhaps the newest."""
    world.node.grow()
    chain = world.node.chain
    return chain is not None and copied(world) in {chain.raw, b"".join(chain.blocks[:-1])}


def height(world: World) -> int:
    return world.node.state.height or 0


async def vote(world: World, voter: int) -> None:
    await world.node.post_fragment(build.vote(world.plans[0].id, account(voter), expiry=(9, 9)))


def votes_cast(world: World) -> int:
    assert world.node.chain is not None
    return sum(count.votes_cast for plan in world.node.chain.counted().plans.values() for count in plan.proposals)


async def test_the_copy_follows_the_chain(published: World) -> None:
    async with published.doing(Running()) as failures:
        await published.until(lambda: height(published) > 20)
        await published.until(lambda: is_followed(published))
        assert failures == []
        assert published.ctx.progressed
    assert len({(run.peers, run.seed) for run in published.node.required}) == 1


async def test_votes_that_a_killed_node_lost_are_posted_again_after_each_start(published: World) -> None:
    async with published.doing(Running()) as failures:
        await published.until(lambda: height(published) > 63)
        await vote(published, 0)
        published.node.kill(lost_blocks=2)
        await published.until(lambda: votes_cast(published) == 1)
        await vote(published, 1)
        published.node.kill(lost_blocks=2)
        await published.until(lambda: votes_cast(published) == 2)
        await published.until(lambda: is_followed(published))
        assert len(set(published.node.posted)) == 2
        assert published.ctx.votes == (published.ctx.block0_in_work().hash, 2)
    assert failures == []


async def test_votes_are_posted_again_only_when_the_chain_is_back_at_the_start_of_voting(published: World) -> None:
    """A node that is killed in the first seconds of voting falls back behind it, and then refuses votes for good."""
    async with published.doing(Running()) as failures:
        await published.until(lambda: height(published) > 62)
        await vote(published, 0)
        await published.until(lambda: votes_cast(published) == 1)
        published.node.kill(lost_blocks=8)
        assert published.node.state.tip_date is not None
        assert published.node.state.tip_date < published.ctx.block0_in_work().dates.vote_start
        published.ctx.mailbox.look_again()  # before there is another block
        await published.until(lambda: votes_cast(published) == 1, 20)
    assert failures == []


async def test_neither_database_nor_s3_is_needed_while_the_node_runs(published: World) -> None:
    async with published.doing(Running()) as failures:
        await published.until(lambda: height(published) > 63)
        published.database.failure = DATABASE_AWAY
        published.store.failure = S3_AWAY
        await vote(published, 0)
        published.node.kill(lost_blocks=2)
        await published.until(lambda: votes_cast(published) == 1)
        await published.until(lambda: is_followed(published))
    assert failures == []


async def test_a_node_that_dies_while_the_database_is_away_is_followed_on(published: World) -> None:
    async with published.doing(Running()) as failures:
        await published.until(lambda: height(published) > 63)
        published.database.failure = DATABASE_AWAY
        await vote(published, 0)
        published.node.failure = TemporaryError("NodeUnavailable", "it is about to die")
        await published.until(lambda: len(failures) == 1)
        published.node.failure = None
        published.node.kill()
        await published.until(lambda: votes_cast(published) == 1)
        await published.until(lambda: is_followed(published))
    assert [failure.reason for failure in failures] == ["NodeUnavailable"]


async def test_a_node_that_does_not_run_and_a_chain_that_stands_still_are_told(published: World) -> None:
    async with published.doing(Running()) as failures:
        await published.until(lambda: height(published) > 0)
        assert published.condition(ConditionType.NODE_NOT_RUNNING) is None
        published.node.kill(up=False)
        published.node.tells(problem=Problem("NodePanicked", "look at the log"))
        await published.until(lambda: published.condition(ConditionType.NODE_NOT_RUNNING) == "NodePanicked")
        published.node.start()
        await published.until(lambda: published.condition(ConditionType.NODE_NOT_RUNNING) is None)
        published.node.tells(stalled_since=START)
        await published.until(lambda: published.condition(ConditionType.CHAIN_STALLED) == "NoNewBlock")
        published.node.tells(stalled_since=None)
        await published.until(lambda: published.condition(ConditionType.CHAIN_STALLED) is None)
    assert failures == []


async def test_what_the_database_refuses_does_not_hold_up_the_chain(published: World) -> None:
    async with published.doing(Running()) as failures:
        await published.until(lambda: height(published) > 63)
        published.ctx.lease = None
        published.row.cancelled = True  # what this calls for needs the lease
        await published.until(lambda: len(failures) > 2)
        await vote(published, 0)
        published.node.kill(lost_blocks=2)
        await published.until(lambda: votes_cast(published) == 1)
        await published.until(lambda: is_followed(published))
        published.ctx.progressed = False
        count = len(failures)
        await published.until(lambda: len(failures) > count)
        assert not published.ctx.progressed, "the failure is not over"
    assert {failure.reason for failure in failures} == {"LeaseNotHeld"}


async def test_an_edited_row_is_watched(published: World) -> None:
    async with published.doing(Running()):
        published.row.edit(fingerprint="1:b")
        await published.until(lambda: published.condition(ConditionType.SPEC_DRIFT) == "HotReloadOff")
        published.row.cancelled = True
        await published.until(lambda: published.hash in published.database.withdrawn)


@pytest.mark.parametrize("what", ["corrupt", "storage lost", "copy damaged"])
async def test_an_election_whose_chain_cannot_run_can_be_cancelled(published: World, what: str) -> None:
    if what == "corrupt":
        draft = published.ctx.workspace.draft(ID).path
        draft.rename(draft.with_name("elsewhere"))
        assert published.row.block0 is not None
        published.row.block0 = (published.row.block0[0], b"noise")
    elif what == "storage lost":
        published.database.copies[published.hash] = {"leader0": ChainCopy("leader0", 7, lost=False, is_leader=True)}
    else:
        chain, _ = await adopt_block0(published.ctx)
        chain.blocks.write_bytes(b"\x07 is no block")
    async with published.doing(Running()) as failures:
        await published.until(lambda: len(failures) > 2)
        published.row.cancelled = True
        await published.until(lambda: published.hash in published.database.withdrawn)
    assert len({failure.reason for failure in failures}) == 1


async def test_a_node_that_never_comes_up_holds_up_its_own_election_and_not_the_next(published: World) -> None:
    published.node.broken = True
    closing = closing_time(published.ctx.block0_in_work().dates.committee_end_time, published.ctx.policy)
    async with published.doing(Running()) as failures:
        published.clock.advance(seconds=(closing - published.clock.now()).total_seconds())
        await published.until(lambda: published.clock.now() > closing + timedelta(minutes=10), 1000)
    spec = replace(published.row.spec, id=2, name="next", voting_start=published.clock.now() + timedelta(minutes=30))
    spec = replace(spec, voting_end=spec.voting_start + timedelta(hours=1))
    published.database.rows[2] = Row(spec, published.row.voters)
    decision = await published.finish(Running())
    assert decision.event is Event.VOTING_ENDED
    assert published.clock.now() < spec.voting_start, "in time for the next one"
    assert failures == []


async def test_other_nodes_only_follow_the_chain(leader1: World, new_world: Callable[..., World]) -> None:
    assert leader1.ctx.policy.role is Role.NODE
    async with leader1.doing(Running()) as failures:
        await leader1.until(lambda: height(leader1) > 3)
        leader1.row.edit(fingerprint="1:b")
        leader1.row.cancelled = True
        await leader1.until(lambda: is_followed(leader1))
        leader1.node.tells(peers_connected=1)
        await leader1.until(lambda: height(leader1) > 20)
        assert list(leader1.ctx.conditions) == []
        assert leader1.database.withdrawn == set()
    assert failures == []
