"""What a node still has after it ended, in order or by SIGKILL."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from node_fsm.chain.fragment_log import FragmentLog, PostAgain
from node_fsm.chain.fragments import Fragment
from node_fsm.chain.recount import recount
from node_fsm.node.rest import NodeRest
from node_fsm.ports.answers import FragmentState
from node_fsm.storage.block_copy import BlockCopy
from tests.contract.binaries import Binaries
from tests.contract.chains import POWER, Chain, Wallet, make_chain, vote
from tests.contract.nodes import Node

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTLED = 2
"""Blocks after which a node that is killed keeps one: the real one writes about every half second."""

KILLS = 3


@dataclass
class Started:
    """A node that mints, and voters."""

    node: Node
    chain: Chain
    voters: list[Wallet]

    async def restarted(self) -> Node:
        """The same node, started again."""
        await self.node.start()
        await self.node.running()
        return self.node


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def electorate(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> tuple[Chain, Iterator[Wallet]]:
    """The chain of all nodes here, which do not know of each other, and its voters."""
    voters = [Wallet() for _ in range(20)]
    return await make_chain(binaries.jcli, tmp_path_factory.mktemp("chain"), voters=voters, age=3), iter(voters)


@pytest_asyncio.fixture(loop_scope="module")
async def started(
    binaries: Binaries, electorate: tuple[Chain, Iterator[Wallet]], tmp_path: Path
) -> AsyncIterator[Started]:
    chain, voters = electorate
    node = Node(binaries, chain, tmp_path / "node")
    await node.start()
    await node.height(1)
    yield Started(node, chain, [next(voters) for _ in range(3)])
    await node.kill()


async def block_ids(node: Node, chain: Chain) -> list[str]:
    async with NodeRest(node.base_url) as api:
        return await api.next_ids(chain.block0_hash, 1000) or []


async def test_killed_node_keeps_settled_blocks_and_their_votes(started: Started) -> None:
    node, chain = started.node, started.chain
    cast = vote(chain, started.voters[0])
    await node.post(cast)
    (status,) = await node.outcomes(cast)
    assert status.block is not None
    before = await block_ids(node, chain)
    place = before.index(status.block)
    await node.height(len(before) + SETTLED)
    await node.kill()
    await started.restarted()
    after = await block_ids(node, chain)
    assert after[: place + 1] == before[: place + 1]
    assert (await node.get("v1/fragments/logs")).json() == []
    assert (await node.get(f"v0/account/{started.voters[0].id}")).json()["counters"][0] == 1
    (plan,) = (await node.get("v0/vote/active/plans")).json()
    assert plan["proposals"][0]["tally"]["Public"]["result"]["results"] == [0, POWER, 0]
    again = vote(chain, started.voters[0], counter=1, choice=2)
    await node.post(again)
    (status,) = await node.outcomes(again)
    assert "already voted" in (status.reason or "")


async def test_killed_over_and_over_it_goes_on(started: Started) -> None:
    """No kill, however early, leaves a storage that the next node cannot use."""
    node = started.node
    for _ in range(4):
        await node.kill()
        await node.start()
    stats = await node.running()
    assert (await node.height(stats.height + 1)).height > 0
    assert await node.stop() == 0


async def test_ended_in_order_it_keeps_every_block(started: Started) -> None:
    """And counts what is in the newest one anew."""
    node, chain = started.node, started.chain
    cast = vote(chain, started.voters[0])
    await node.post(cast)
    (status,) = await node.outcomes(cast)
    before = await block_ids(node, chain)
    assert await node.stop() == 0
    node.leader = None
    await started.restarted()
    after = await block_ids(node, chain)
    assert after[: len(before)] == before
    counted = (await node.get("v0/node/stats")).json()
    assert (counted["lastBlockTx"], counted["votesCast"]) == ((1, 1) if after[-1] == status.block else (0, 0))


async def test_persistent_log_has_what_was_accepted(started: Started) -> None:
    """What waited when the node was killed is in the log, and can be posted again."""
    node, chain = started.node, started.chain
    taken, waiting = (vote(chain, voter) for voter in started.voters[:2])
    late = vote(chain, started.voters[2], expiry=chain.expiry()._replace(epoch=500))
    await node.post(taken)
    await node.outcomes(taken)
    await node.post(waiting, late)
    await node.kill()
    await started.restarted()
    assert [logged.fragment.raw for logged in FragmentLog(node.fragments).read()] == [taken.raw, waiting.raw]
    if not (await node.get(f"v0/account/{started.voters[1].id}")).json()["counters"][0]:
        assert await node.post(waiting) == {waiting.id: None}
        (status,) = await node.outcomes(waiting)
        assert status.state is FragmentState.IN_A_BLOCK


async def test_a_refused_vote_does_not_take_the_place_of_one_in_a_lost_block_however_often_the_node_dies(
    started: Started, tmp_path: Path
) -> None:
    """Both spend the same, and both are in the log: what a service that begins anew posts again is the first alone."""
    node, chain, voter = started.node, started.chain, started.voters[0]
    taken, refused = (vote(chain, voter, choice=choice) for choice in (1, 2))
    file = tmp_path / "blocks.bin"
    async with NodeRest(node.base_url) as api:
        await node.post(taken)
        for _ in range(KILLS):
            (status,) = await node.outcomes(taken)
            assert status.state is FragmentState.IN_A_BLOCK
            await BlockCopy.open(file, chain.block0).advance(api)
            await node.post(refused)
            await node.kill()  # mostly without the block
            await started.restarted()
            await BlockCopy.open(file, chain.block0).advance(api)
            again = posted_again(BlockCopy.open(file, chain.block0), node)
            assert again in ([taken.raw], [refused.raw]), "the second only where the chain has the first"
            assert (again == [taken.raw]) == (not (await node.get(f"v0/account/{voter.id}")).json()["counters"][0])
            if again == [refused.raw]:
                break
            await node.post(*map(Fragment.from_bytes, again))
        else:
            await node.outcomes(taken)
    (plan,) = (await node.get("v0/vote/active/plans")).json()
    assert plan["proposals"][0]["tally"]["Public"]["result"]["results"] == [0, POWER, 0]


def posted_again(copy: BlockCopy, node: Node) -> list[bytes]:
    """What a service posts again of the node's log by its *copy* of the blocks, both of which earlier lives made."""
    again = PostAgain()
    again.lost(copy.take_lost())
    for entry in FragmentLog(node.fragments).read():
        again.logged(entry, copy.tip.date, copy)
    return [fragment.raw for fragment in again.fragments(copy.tip.date, copy)]


async def test_its_blocks_can_be_recounted(started: Started, tmp_path: Path) -> None:
    """The service's own copy of the chain reads and verifies, and gives what the node shows."""
    node, chain = started.node, started.chain
    votes = [vote(chain, voter, choice=place) for place, voter in enumerate(started.voters)]
    await node.post(*votes)
    await node.outcomes(*votes)
    file = tmp_path / "blocks.bin"
    copy = BlockCopy.open(file, chain.block0)
    async with NodeRest(node.base_url) as api:
        assert await copy.advance(api)
        plan = (await api.vote_plans())[chain.plan_ids[0]]
    assert copy.votes == len(votes)
    with file.open("rb") as stream:
        counted = recount(stream).plans[chain.plan_ids[0]]
    assert counted.proposals[0].weights == plan.proposals[0].results == (POWER, POWER, POWER)
