"""What a chain's parameters make of fragments: fees, expiry while they wait, and the windows of plans."""

import pytest

from node_fsm.chain.fragments import Fragment
from node_fsm.core.chain_time import BlockDate
from node_fsm.node.rest import NodeRest
from node_fsm.ports.answers import FragmentState
from tests.contract.binaries import Binaries
from tests.contract.chains import (
    FUND,
    POWER,
    Plan,
    Wallet,
    make_chain,
    tally,
    vote,
)
from tests.contract.nodes import Node, until
from tests.support.chain_configuration import SLOTS_PER_EPOCH

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_fees_and_expiry_while_it_waits(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A transaction pays exactly the fee. One that waits for a block for too long is rejected by then.

    The second leader is away: every other slot is empty.
    """
    voter = Wallet()
    chain = await make_chain(
        binaries.jcli,
        tmp_path_factory.mktemp("chain"),
        leaders=2,
        voters=[voter],
        age=3,
        parameters={
            "linear_fees": {"constant": 10, "coefficient": 5, "certificate": 15},
            "slots_per_epoch": SLOTS_PER_EPOCH,
        },
    )
    node = Node(binaries, chain, tmp_path_factory.mktemp("node"))
    await node.start()
    try:
        await node.height(1)
        payments = [vote(chain, voter, value=value, lane=lane) for lane, value in enumerate((29, 30, 31))]
        await node.post(*payments)
        less, exact, more = [status.reason for status in await node.outcomes(*payments)]
        assert exact is None
        for reason, value in ((less, 29), (more, 31)):
            assert reason == (
                "Failed to validate transaction balance: transaction value not balanced, "
                f"has inputs sum {value} and outputs sum 30"
            )
        assert (await node.get(f"v0/account/{voter.id}")).json()["value"] == FUND - 30

        async def turn() -> BlockDate | None:
            date = chain.date()
            return date if date.slot in {2, 4, 6} and (await node.running()).tip_date == date else None

        async def taken() -> Fragment | None:
            """A vote that the node took in the last slot of its life, unless the machine was too slow for that."""
            epoch, slot = await until(turn)
            late = vote(chain, voter, value=30, lane=7, expiry=BlockDate(epoch, slot + 1))
            refusal = (await node.post(late))[late.id]
            assert refusal in {None, "FragmentExpired"}
            return None if refusal else late

        (status,) = await node.outcomes(await until(taken))
        assert status.reason == "Invalid transaction expiry date: Transaction validity expired"
    finally:
        await node.kill()


async def test_windows_are_those_of_the_parent(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A vote in the first block at vote_end counts, because its parent is older; the next block's does not.

    So does a tally not count in that first block, but in the next.
    """
    voters = [Wallet() for _ in range(4)]
    end = BlockDate(0, 4)
    chain = await make_chain(
        binaries.jcli,
        tmp_path_factory.mktemp("chain"),
        voters=voters,
        plans={"plan": Plan(vote_end=end)},
        parameters={"slot_duration": 4},  # so that votes are there before the one slot in which they must be
    )
    node = Node(binaries, chain, tmp_path_factory.mktemp("node"))
    await node.start()
    try:
        async with NodeRest(node.base_url) as api:

            async def last_before_end() -> bool | None:
                return (await api.stats()).tip_date >= BlockDate(0, 3) or None

            await node.running()
            await until(last_before_end)
        first = [vote(chain, voters[0]), tally(chain, chain.leaders[0])]
        await node.post(*first)
        counted, early = await node.outcomes(*first)
        assert (counted.state, counted.date) == (FragmentState.IN_A_BLOCK, end)
        assert "time to tally the votes is between 0.4 to 2000.0." in (early.reason or "")
        second = [vote(chain, voters[1]), tally(chain, chain.leaders[0], lane=1)]
        await node.post(*second)
        late, tallied = await node.outcomes(*second)
        assert "time to vote is between 0.0 to 0.4." in (late.reason or "")
        assert tallied.state is FragmentState.IN_A_BLOCK
        (plan,) = (await node.get("v0/vote/active/plans")).json()
        assert plan["proposals"][0]["tally"]["Public"]["result"]["results"] == [0, POWER, 0]
    finally:
        await node.kill()
