"""Votes that a node had accepted, and that are in no block, are posted again."""

import asyncio
from collections.abc import Collection
from struct import pack
from typing import Any

import pytest

from node_fsm.core.capacity import mempool_entries
from node_fsm.core.errors import TemporaryError
from node_fsm.steps.resubmission import AT_ONCE, RESTART_SECONDS, SHARE, STUCK_BLOCKS, YOUNG_BLOCKS, Resubmission
from node_fsm.storage.block_copy import BlockCopy
from tests.chain import build
from tests.phases.small_election import account
from tests.phases.world import World


@pytest.fixture
async def voting(world: World) -> World:
    """A chain with two votes in its mempool."""
    await world.run_chain()
    world.node.posted.clear()
    return world


def vote(world: World, voter: int, **other: Any) -> bytes:
    """A vote of that voter on the first plan, which expires late; *other* as :func:`tests.chain.build.vote` has it."""
    return build.vote(world.plans[0].id, account(voter), **{"expiry": (9, 9)} | other)


def voting_time(world: World) -> float:
    """In seconds since 1970."""
    return world.ctx.block0_in_work().dates.vote_start_time.timestamp() + 1


def log(world: World, *fragments: bytes, name: str = "2030-01-01_13", at: float | None = None) -> None:
    """What the node had logged besides, just now or *at* another time."""
    at = voting_time(world) if at is None else at
    with (world.chain.fragments / f"{name}.log").open("ab") as file:
        file.write(b"".join(pack(">Q", int(at)) + raw for raw in fragments))


async def resubmitted(world: World, copy: BlockCopy | None = None) -> list[bytes]:
    """What is posted again now, by a service that is new or has *copy*."""
    world.node.posted.clear()
    copy = copy or BlockCopy.open(world.chain.blocks, world.chain.block0)
    await copy.advance(world.node)
    await Resubmission(world.chain).follow(world.ctx, copy)
    return world.node.posted


def votes_cast(world: World) -> int:
    assert world.node.chain is not None
    return sum(count.votes_cast for plan in world.node.chain.counted().plans.values() for count in plan.proposals)


async def test_what_waited_in_the_mempool_of_a_killed_node(voting: World) -> None:
    voting.node.kill()
    voting.clock.advance(seconds=2)
    voting.node.grow()
    assert votes_cast(voting) == 0
    assert len(await resubmitted(voting)) == 2
    voting.clock.advance(seconds=1)
    voting.node.grow()
    assert votes_cast(voting) == 2


async def test_what_was_in_blocks_that_a_killed_node_lost(voting: World) -> None:
    voting.clock.advance(seconds=1)
    voting.node.grow()
    assert votes_cast(voting) == 2
    voting.node.kill(lost_blocks=1)
    assert votes_cast(voting) == 0
    assert await resubmitted(voting) == [
        build.vote(voting.plans[0].id, account(voter), choice=voter, expiry=(9, 9)) for voter in range(2)
    ]


async def test_what_is_in_a_block_is_not_posted_again(voting: World) -> None:
    voting.clock.advance(seconds=1)
    assert await resubmitted(voting) == []
    log(voting, vote(voting, 0), vote(voting, 5))
    assert await resubmitted(voting) == [vote(voting, 5)]


async def test_what_has_expired_is_not_posted_again(voting: World) -> None:
    voting.clock.advance(seconds=1)
    voting.node.grow()
    date = voting.node.state.tip_date
    assert date is not None
    past, last = (date.epoch, date.slot - 1), (date.epoch, date.slot)
    log(voting, vote(voting, 5, expiry=past), vote(voting, 6, expiry=last))
    assert await resubmitted(voting) == [vote(voting, 6, expiry=last)]


async def test_a_vote_that_came_too_early_does_not_push_aside_the_one_that_followed(voting: World) -> None:
    """It was refused, its voter was told so and voted otherwise, and both are logged."""
    voting.clock.advance(seconds=1)
    start = voting.ctx.block0_in_work().dates.vote_start_time.timestamp()
    log(voting, vote(voting, 5, expiry=(9, 1)), at=start - 1)
    log(voting, vote(voting, 5, expiry=(9, 2)), at=start)
    assert await resubmitted(voting) == [vote(voting, 5, expiry=(9, 2))]


async def test_a_vote_from_before_voting_is_not_posted_though_none_followed(voting: World) -> None:
    voting.clock.advance(seconds=1)
    start = voting.ctx.block0_in_work().dates.vote_start_time.timestamp()
    log(voting, vote(voting, 5), at=start - 1)
    log(voting, vote(voting, 6), at=start)
    assert await resubmitted(voting) == [vote(voting, 6)]


async def test_a_refused_vote_does_not_push_aside_the_one_that_followed(voting: World) -> None:
    """Refused after voting_start by the clock, because the chain had no block of that date yet."""
    voting.clock.advance(seconds=1)
    log(voting, vote(voting, 5, choice=0), vote(voting, 6), vote(voting, 5, choice=1))
    assert await resubmitted(voting) == [vote(voting, 6), vote(voting, 5, choice=1)]


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_vote_that_stood_in_a_lost_block_goes_before_all_that_arrived(voting: World, restarted: bool) -> None:
    """Whoever followed it with the same counter was refused, and would count now if it came first or alone."""
    voting.clock.advance(seconds=1)
    copy = BlockCopy.open(voting.chain.blocks, voting.chain.block0)
    await copy.advance(voting.node)
    taken = [vote(voting, voter, choice=1) for voter in (5, 6)]
    log(voting, vote(voting, 7), *reversed(taken), name="2030-01-01_00")
    for raw in taken:
        voting.clock.advance(seconds=1)
        await voting.node.post_fragment(raw)
    voting.clock.advance(seconds=1)
    await copy.advance(voting.node)
    log(voting, vote(voting, 5, choice=0))
    voting.node.kill(lost_blocks=2)
    assert await resubmitted(voting, None if restarted else copy) == [*taken, vote(voting, 7)]


@pytest.mark.parametrize("is_posted", [False, True], ids=["cut back only", "posted again"])
async def test_it_still_does_when_node_and_service_die_once_more_before_a_block_has_it(
    voting: World, is_posted: bool
) -> None:
    voting.clock.advance(seconds=1)
    copy = BlockCopy.open(voting.chain.blocks, voting.chain.block0)
    await copy.advance(voting.node)
    taken, refused = vote(voting, 5, choice=1), vote(voting, 5, choice=0)
    await voting.node.post_fragment(taken)
    log(voting, taken)
    voting.clock.advance(seconds=1)
    await copy.advance(voting.node)
    log(voting, refused)
    voting.node.kill(lost_blocks=1)
    await copy.advance(voting.node)
    if is_posted:
        assert await resubmitted(voting, copy) == [taken]
        log(voting, taken, refused)  # its voter tries again, too
        voting.node.kill()
    assert await resubmitted(voting) == [taken], "by a new life of the service"


async def test_each_is_posted_once_and_in_the_order_of_arrival(voting: World) -> None:
    voting.clock.advance(seconds=1)
    log(voting, vote(voting, 7), vote(voting, 6), name="2030-01-01_14")
    log(voting, vote(voting, 5), vote(voting, 7), name="2030-01-01_13")
    assert await resubmitted(voting) == [vote(voting, 5), vote(voting, 7), vote(voting, 6)]


async def test_one_that_is_refused_does_not_hold_up_the_others(voting: World) -> None:
    voting.clock.advance(seconds=1)
    log(voting, *[vote(voting, voter) for voter in (5, 6)])
    voting.node.refusals.append("FragmentInvalid")
    assert len(await resubmitted(voting)) == 2
    voting.clock.advance(seconds=1)
    voting.node.grow()
    assert voting.node.chain is not None
    assert vote(voting, 6) in voting.node.chain.raw


async def test_what_waits_for_the_next_block_is_not_posted_again(voting: World) -> None:
    assert await resubmitted(voting) == []


class Following:
    """A service that follows the votes of a chain, block after block."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.copy = BlockCopy.open(world.chain.blocks, world.chain.block0)
        self.votes = Resubmission(world.chain)

    async def look(self, blocks: int = 1) -> list[bytes]:
        """So many slots go by; what is posted again meanwhile."""
        self.world.node.posted.clear()
        for _ in range(blocks):
            await asyncio.sleep(1)
            await self.copy.advance(self.world.node)
            await self.votes.follow(self.world.ctx, self.copy)
        return list(self.world.node.posted)


async def test_only_a_block_counts_as_in(voting: World) -> None:
    """A block that outlasts its slot is rejected by its own node, which says "Pending" of its votes from then on."""
    following = Following(voting)
    voting.node.swallowing = True
    assert await following.look() == []
    voting.node.swallowing = False
    assert await following.look(STUCK_BLOCKS - 1) == []
    assert votes_cast(voting) == 0
    assert voting.node.restarts == []
    await following.look(YOUNG_BLOCKS + 2)
    assert len(voting.node.restarts) == 1
    assert votes_cast(voting) == 2


async def test_votes_of_a_branch_that_was_given_up_come_back_though_the_node_has_them_in_its_log(voting: World) -> None:
    following = Following(voting)
    await following.look(2)
    assert votes_cast(voting) == 2
    voting.node.turn(2, keeps_log=True)
    assert votes_cast(voting) == 0
    await following.look(2 * YOUNG_BLOCKS + STUCK_BLOCKS)
    assert len(voting.node.restarts) == 1
    assert votes_cast(voting) == 2


async def test_the_node_is_restarted_for_votes_once_in_a_while_and_not_near_the_end(voting: World) -> None:
    following = Following(voting)
    dates = voting.ctx.block0_in_work().dates
    left = (dates.vote_end_time - voting.clock.now()).total_seconds()
    assert left < RESTART_SECONDS, "else a second restart could follow"
    for _ in range(int(left)):
        await voting.node.post_fragment(vote(voting, len(voting.node.posted) + 5))
        voting.node.swallowing = True
        await following.look()
        voting.node.swallowing = False
    assert len(voting.node.restarts) <= 1


async def test_new_votes_are_left_alone(voting: World) -> None:
    following = Following(voting)
    for voter in range(5, 15):
        await voting.node.post_fragment(vote(voting, voter))
        assert await following.look() == []


async def test_what_waits_for_long_though_the_node_never_fell_is_posted_again(voting: World) -> None:
    following = Following(voting)
    await following.look(2)
    log(voting, vote(voting, 5))  # and the node knows nothing of it
    assert await following.look(YOUNG_BLOCKS) == []
    assert await following.look() == [vote(voting, 5)]
    assert await following.look(2 * YOUNG_BLOCKS) == []


async def test_it_is_paced_by_what_comes_into_blocks(voting: World) -> None:
    share = mempool_entries(1) // SHARE
    following = Following(voting)
    await following.look(2)
    log(voting, *[vote(voting, 5, counter=number) for number in range(3 * share)])
    voting.node.kill()
    assert len(await following.look()) == share
    voting.node.stalled = True
    assert await following.look(2) == []
    voting.node.stalled = False
    assert len(await following.look(3)) == 2 * share
    assert votes_cast(voting) >= 2


async def test_a_mempool_that_is_full_is_tried_again_later(voting: World) -> None:
    following = Following(voting)
    await following.look(2)
    log(voting, *[vote(voting, 5, counter=number) for number in range(AT_ONCE + 1)])
    voting.node.kill()
    voting.node.refusals.extend(["PoolOverflow"] * AT_ONCE)
    assert len(await following.look()) == AT_ONCE
    assert len(await following.look()) == AT_ONCE + 1


async def test_the_node_is_asked_once_whether_it_knows_what_waits_for_room(
    voting: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be tens of thousands, and the node that answers is the one that makes the blocks."""
    share = mempool_entries(1) // SHARE
    following = Following(voting)
    await following.look(2)
    log(voting, *[vote(voting, 5, counter=number) for number in range(3 * share)])
    voting.node.kill()
    asked: list[int] = []
    answer = voting.node.fragment_statuses

    async def count(fragment_ids: Collection[str]) -> object:
        asked.append(len(fragment_ids))
        return await answer(fragment_ids)

    monkeypatch.setattr(voting.node, "fragment_statuses", count)  # only to look at what it is asked
    assert len(await following.look(4)) == 3 * share
    assert sum(asked) == 3 * share
    for _ in range(2 * YOUNG_BLOCKS):
        await following.look()
    assert following.votes.waiting() == []


async def test_what_the_ledger_refused_is_tried_again_only_after_a_loss(voting: World) -> None:
    voting.node.rejections.extend(["the ledger says no"] * 2)
    following = Following(voting)
    await voting.node.post_fragment(vote(voting, 5))
    assert await following.look(YOUNG_BLOCKS + STUCK_BLOCKS + 2) == []
    assert voting.node.restarts == []
    voting.node.kill()
    assert await following.look() == [vote(voting, 0), vote(voting, 1, choice=1)]


async def test_many_are_posted_in_batches(voting: World, monkeypatch: pytest.MonkeyPatch) -> None:
    voting.clock.advance(seconds=1)
    log(voting, *[vote(voting, 5, counter=number) for number in range(2 * AT_ONCE + 1)])
    batches = []
    post = voting.node.post_fragments

    async def count(fragments: list[bytes]) -> object:
        batches.append(len(fragments))
        return await post(fragments)

    monkeypatch.setattr(voting.node, "post_fragments", count)  # only to look at what it is given
    assert len(await resubmitted(voting)) == 2 * AT_ONCE + 1
    assert batches == [AT_ONCE, AT_ONCE, 1]


async def test_without_a_log_there_is_nothing_to_do(voting: World) -> None:
    voting.chain.fragments.rename(voting.chain.path / "elsewhere")
    voting.node.kill()
    assert await resubmitted(voting) == []


async def test_a_node_that_dies_meanwhile_is_asked_again_later(voting: World) -> None:
    voting.node.kill()
    copy = BlockCopy.open(voting.chain.blocks, voting.chain.block0)
    await copy.advance(voting.node)
    voting.node.kill(up=False)
    with pytest.raises(TemporaryError):
        await Resubmission(voting.chain).follow(voting.ctx, copy)
    voting.node.start()
    assert len(await resubmitted(voting)) == 2
