"""Votes that a node has accepted and that come into no block: what the real node does, and how it is mended."""

import time
from pathlib import Path

import pytest

from tests.contract.binaries import Binaries
from tests.contract.nodes import until
from tests.netns.nodes import FOLLOWER, HostedNode, network
from tests.support.hosts import Hosts

SECONDS = 120
IN_LOG = "FragmentAlreadyInLog"
ROOMY = {"slot_duration": 1, "block_content_max_size": 20 * 2**20}


async def settled(node: HostedNode, blocks: int) -> int:
    """How many votes are counted once there are so many blocks more."""
    stats = await node.stats()
    assert stats is not None
    await node.height(stats.height + blocks, SECONDS)
    return await node.counted()


async def all_counted(node: HostedNode, votes: int) -> int:
    """Wait until so many votes are counted; how many are."""

    async def ask() -> int | None:
        counted = await node.counted()
        return counted if counted >= votes else None

    return await until(ask, SECONDS)


@pytest.mark.timeout(300)
async def test_a_follower_passes_on_no_more_of_a_batch_than_its_buffer_holds(
    networks: Hosts, real_binaries: Binaries, tmp_path: Path
) -> None:
    """It keeps the rest to itself for ever: the subscription that overflowed is closed, and nothing is sent again."""
    async with network(
        networks, real_binaries, tmp_path, leaders=2, follower=True, voters=600, parameters=ROOMY
    ) as made:
        leader, follower = made.nodes["leader0"], made.nodes[FOLLOWER]
        one_by_one = made.votes(50)
        assert await follower.posted(one_by_one, at_once=1) == {"accepted": 50}
        await all_counted(leader, 50)
        batch = made.votes(500)
        assert await follower.posted(batch) == {"accepted": 500}
        counted = await settled(leader, 8)
        assert counted < 300
        assert (await follower.states(batch))["Pending"] == 550 - counted
        assert await follower.posted(batch) == {IN_LOG: 500}
        assert (await leader.posted(batch))["accepted"] == 550 - counted  # a leader was never told of them
        assert await all_counted(leader, 550) == 550


@pytest.mark.timeout(300)
async def test_votes_of_a_branch_that_was_given_up_come_back_only_when_posted_again(
    networks: Hosts, real_binaries: Binaries, tmp_path: Path
) -> None:
    """The node that gave the branch up has taken them out of its log; any other leader never had them in its own."""
    async with network(networks, real_binaries, tmp_path, leaders=3, voters=160, parameters=ROOMY) as made:
        alone, other = made.nodes["leader0"], made.nodes["leader1"]
        networks.split(["leader0"], ["leader1", "leader2"])
        ours, theirs = made.votes(80), made.votes(80)
        await alone.posted(ours)
        await other.posted(theirs)
        await all_counted(alone, 80)
        stats = await alone.stats()
        assert stats is not None
        await other.height(stats.height + 8, SECONDS)  # by now theirs is longer for certain
        assert await other.counted() == 80
        networks.heal()

        async def one_tip() -> bool | None:
            tips = {stats.tip for node in made.nodes.values() if (stats := await node.stats())}
            return len(tips) == 1 or None

        await until(one_tip, SECONDS)
        assert await settled(alone, 6) < 160
        first, second = ours[:40], ours[40:]
        await alone.posted(first, at_once=1)
        await other.posted(second, at_once=1)
        assert await all_counted(alone, 160) == 160


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_votes_of_a_block_that_outlasts_its_slot_wait_for_ever(
    networks: Hosts, real_binaries: Binaries, tmp_path: Path
) -> None:
    """The block that follows stands on the old tip and is rejected, and its votes are in no mempool any more."""
    count = 20_000
    async with network(networks, real_binaries, tmp_path, leaders=1, voters=count, parameters=ROOMY) as made:
        leader = made.nodes["leader0"]
        votes = made.votes(count)
        assert await leader.posted(votes) == {"accepted": count}

        async def empty() -> bool | None:
            return (await leader.get("v0/node/stats", timeout=SECONDS)).json()["mempoolTotalSize"] == 0 or None

        await until(empty, SECONDS)
        counted = await settled(leader, 5)
        assert counted < count, "this machine is faster than any that this was tried on: take more votes"
        assert (await leader.states(votes))["Pending"] == count - counted
        assert "rejecting candidate" in leader.log.read_text()
        assert await leader.posted(votes) == {IN_LOG: count}
        await leader.stop()
        await leader.start()
        await leader.running(60)
        assert await leader.posted(votes) == {"accepted": count}  # also those that are in blocks: the log is empty


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_blocks_small_enough_for_their_slot_lose_no_vote_of_a_burst(
    networks: Hosts, real_binaries: Binaries, tmp_path: Path
) -> None:
    """What does not fit goes back to the mempool, however much that holds."""
    count, vote_bytes, in_a_block = 20_000, 161, 500
    parameters = {"slot_duration": 1, "block_content_max_size": vote_bytes * in_a_block}
    async with network(networks, real_binaries, tmp_path, leaders=1, voters=count, parameters=parameters) as made:
        leader = made.nodes["leader0"]
        began = time.monotonic()
        assert await leader.posted(made.votes(count)) == {"accepted": count}
        assert await all_counted(leader, count) == count
        print(f"{count / (time.monotonic() - began):.0f} votes a second")
