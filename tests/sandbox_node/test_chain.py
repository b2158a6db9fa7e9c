"""Branches: the longest one counts, the ledger follows it, and nobody's wrong block gets in."""

import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from node_fsm_sandbox.node.chain import Arrival, Turn
from node_fsm_sandbox.node.errors import InvalidBlockError, RejectedError

from tests.sandbox_node.world import (
    BLOCK0,
    BLOCK0_HASH,
    CONTENT_MAX_SIZE,
    LEADERS,
    POWER,
    VOTERS,
    World,
    block,
    date_of,
    header,
    leader_of,
    message,
    vote,
)

ANN, BOB, EVE = VOTERS[:3]


@pytest.fixture
def world() -> World:
    return World()


def test_the_longest_branch_counts(world: World) -> None:
    """Equal branches: the one that was there first. The ledger has the votes of the branch that counts, no others."""
    turns: list[Turn] = []
    world.chain.on_turn = turns.append
    first = block(BLOCK0, 1, [vote(ANN, choice=0)])
    rival = block(BLOCK0, 2, [vote(BOB, choice=2)])
    longer = block(rival, 3, [vote(EVE, choice=2)])
    assert world.chain.add(first) is Arrival.TIP
    assert world.chain.add(rival) is Arrival.BRANCH
    assert world.results() == (POWER, 0, 0)
    assert world.chain.add(longer) is Arrival.TIP
    assert world.results() == (0, 0, 2 * POWER)
    assert [world.counter(voter) for voter in (ANN, BOB, EVE)] == [0, 1, 1]
    assert [world.chain.at(height).id for height in range(3)] == [BLOCK0_HASH, header(rival).id, header(longer).id]
    assert world.chain.height_of(header(first).id) is None
    assert [(turn.ancestor.id, turn.left, len(turn.blocks)) for turn in turns] == [
        (BLOCK0_HASH, False, 1),
        (BLOCK0_HASH, True, 2),
    ]


def test_known_blocks_and_orphans(world: World) -> None:
    first = block(BLOCK0, 1)
    second = block(first, 2)
    assert world.chain.add(second) is Arrival.ORPHAN
    assert header(second).id not in world.chain
    assert world.chain.add(first) is Arrival.TIP
    assert world.chain.add(first) is Arrival.KNOWN
    assert world.chain.add(second) is Arrival.TIP
    assert world.chain.raw(header(second).id) == second


def test_a_longer_branch_with_a_wrong_fragment_is_not_followed(world: World) -> None:
    first = block(BLOCK0, 1, [vote(ANN)])
    rival = block(BLOCK0, 2)
    spoilt = block(rival, 3, [vote(BOB), vote(BOB, proposal=1, counter=7)])
    above = block(spoilt, 4)
    for raw in (first, rival, spoilt, above):
        world.chain.add(raw)
    assert world.chain.tip.id == header(first).id
    assert world.results() == (0, POWER, 0)
    assert world.counter(BOB) == 0
    assert world.chain.add(block(first, 5, [vote(BOB)])) is Arrival.TIP
    assert world.results() == (0, 2 * POWER, 0)


def test_blocks_of_the_future_wait(world: World) -> None:
    """One second is forgiven; a later block on top is looked at anew."""
    world.time.slot = 2
    first, later = block(BLOCK0, 3), block(BLOCK0, 5)
    assert world.chain.add(first) is Arrival.TIP
    assert world.chain.add(block(first, 5)) is Arrival.BRANCH
    world.time.slot = 6
    assert world.chain.add(block(block(first, 5), 6)) is Arrival.TIP
    assert world.chain.add(later) is Arrival.BRANCH


def changed(raw: bytes, place: int) -> bytes:
    data = bytearray(raw)
    data[place] ^= 1
    return bytes(data)


WRONG = {
    "another leader's turn": block(BLOCK0, 1, leader=leader_of(2)),
    "no leader": block(BLOCK0, 1, leader=VOTERS[0]),
    "not after its parent": block(BLOCK0, 0),
    "no block": b"nothing",
    "two blocks": block(BLOCK0, 1) * 2,
    "another block 0": changed(BLOCK0, -1),
    "a changed signature": changed(block(BLOCK0, 1), 177),
    "a changed content": changed(block(BLOCK0, 1, [vote(ANN)]), -1),
    "too large": block(BLOCK0, 1, [vote(voter) for voter in VOTERS]),
}


@pytest.mark.parametrize("raw", WRONG.values(), ids=WRONG)
def test_wrong_blocks(world: World, raw: bytes) -> None:
    with pytest.raises(InvalidBlockError):
        world.chain.add(raw)
    assert world.chain.tip.id == BLOCK0_HASH


def test_a_vote_with_a_wrong_signature_spoils_its_block(world: World) -> None:
    assert world.chain.add(block(BLOCK0, 1, [vote(ANN, signer=BOB)])) is Arrival.BRANCH
    assert world.chain.tip.id == BLOCK0_HASH


def test_minting(world: World) -> None:
    """What fits and is right, in order; what is left over because it does not fit is not rejected."""
    rejected: list[tuple[str, str]] = []
    wrong = message(vote(ANN, counter=3))
    fitting = [message(vote(voter)) for voter in VOTERS]
    made = world.chain.make(
        LEADERS[1], date_of(1), [wrong, *fitting], lambda refused, reason: rejected.append((refused.id, reason))
    )
    assert rejected == [(wrong.id, "Error or Invalid account: Spending credential invalid, expected 0 got 3 in lane 0")]
    assert world.chain.tip == made
    size = len(fitting[0].raw)
    assert made.content_size == CONTENT_MAX_SIZE // size * size
    assert world.results() == (0, CONTENT_MAX_SIZE // size * POWER, 0)
    follower = World()
    assert follower.chain.add(world.chain.raw(made.id)) is Arrival.TIP
    assert follower.results() == world.results()


def test_a_failed_fragment_leaves_no_trace(world: World) -> None:
    """The money is spent before the vote is looked at, and comes back."""
    ledger, date = world.chain.ledger, date_of(1)
    with pytest.raises(RejectedError, match="Invalid option choice"):
        ledger.apply(message(vote(ANN, choice=9)), date, date)
    assert world.counter(ANN) == 0
    assert ledger.plans.votes_of_all() == {}


def test_restart(world: World) -> None:
    """The store gives back the same chain, however the blocks came, whatever other chain's blocks lie among them."""
    first, rival = block(BLOCK0, 1, [vote(ANN)]), block(BLOCK0, 2, [vote(BOB)])
    for raw in (first, rival, block(rival, 3), block(first, 3, [vote(EVE)])):
        world.chain.add(raw)
    again = World()
    headers = [header(world.store.read(block_id)) for block_id in known(world)]
    foreign = replace(headers[-1], id="ee" * 32, parent="dd" * 32)
    for found in [foreign, *headers]:
        if found is not foreign and found.id != BLOCK0_HASH:
            again.store.append(found.id, world.store.read(found.id))
        again.chain.restore(found)
    assert again.chain.tip == world.chain.tip
    assert again.results() == world.results()
    assert "ee" * 32 not in again.chain


def known(world: World) -> list[str]:
    return [block_id for block_id in world.store._places]  # noqa: C416 - what the file holds, in its order


def test_checkpoints_thin_out(world: World) -> None:
    raw = BLOCK0
    for slot in range(1, 51):
        raw = block(raw, slot)
        world.chain.add(raw)
    points = world.chain.checkpoints()
    heights = [world.chain.height_of(point) or 0 for point in points]
    assert heights[:10] == list(range(50, 40, -1))
    assert heights == sorted(heights, reverse=True)
    assert points[-1] == BLOCK0_HASH
    assert len(points) < 20


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10**6))
def test_any_order_of_arrival_ends_with_the_longest_branch(seed: int) -> None:
    """A tree of blocks in a random order: the tip is as high as can be, and the ledger is that of its branch alone."""
    drawing = random.Random(seed)
    tree = [BLOCK0]
    slots = {BLOCK0_HASH: 0}
    for number in range(8):
        parent = drawing.choice(tree)
        slot = slots[header(parent).id] + drawing.randint(1, 3)
        raw = block(parent, slot, [vote(VOTERS[number], choice=number % 3)])
        slots[header(raw).id] = slot
        tree.append(raw)
    world, arriving = World(), tree[1:]
    while arriving:
        raw = drawing.choice(arriving)
        if world.chain.add(raw) is not Arrival.ORPHAN:
            arriving.remove(raw)
    assert world.chain.tip.height == max(header(raw).height for raw in tree)
    alone = World()
    for height in range(1, world.chain.tip.height + 1):
        alone.chain.add(world.chain.raw(world.chain.at(height).id))
    assert alone.results() == world.results()
    assert [alone.counter(voter) for voter in VOTERS] == [world.counter(voter) for voter in VOTERS]
