"""Many votes come at once, from senders who try again what is refused for want of room; nothing is cut or killed."""

import asyncio
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from node_fsm_sandbox.election.draw import Ballot, Voter, draw_election
from node_fsm_sandbox.election.schedule import Times

from node_fsm.core.capacity import fitting_block_size
from tests.netns.split_cluster import SplitCluster
from tests.netns.votes import QuickWallet, power


@dataclass(frozen=True)
class Burst:
    """So many votes at once, all at leader 0; in how many seconds a chain of its *slot* is to take them."""

    votes: int
    slot: int
    leaders: int = 1
    seconds: int = 120


BURSTS = {
    "4 s slots, 6,000": Burst(6_000, 4),
    "4 s slots, 12,000": Burst(12_000, 4),
    "4 s slots, 40,000": Burst(40_000, 4),
    "1 s slots, 20,000": Burst(20_000, 1),
    "three leaders, 1 s slots, 20,000": Burst(20_000, 1, leaders=3),
}


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", BURSTS)
async def test_no_vote_of_a_burst_goes_missing(cluster: SplitCluster, tmp_path: Path, name: str) -> None:
    burst = BURSTS[name]
    drawing = random.Random(name)
    # Each votes on two questions, but for one who abstains and one who comes late.
    voters = [Voter(QuickWallet(), drawing.randrange(1, 100)) for _ in range(burst.votes // 2 + 2)]
    await cluster.begin(
        [f"leader{number}" for number in range(burst.leaders)],
        {"slot_duration": burst.slot, "slots_per_epoch": 600, "block_content_max_size": fitting_block_size(burst.slot)},
    )
    times = Times.soon(40 + burst.votes // 1000, voting=burst.seconds, tallying=120)
    election = draw_election("a burst", times, voters, drawing)
    cluster.post_election(election)
    await cluster.wait_for_voting(election)
    async with cluster.watched(times.voting_end) as timeline:
        began = time.monotonic()
        tries = await cast_all(cluster, election.ballots, burst.slot)
        took = time.monotonic() - began
        await cluster.wait_for_end(burst.seconds + 300)
    (plan,) = cluster.shown(election)["plans"]
    drawn, counted = power(election.ballots), sum(map(sum, plan["results"].values()))
    figures = {
        "drawn": drawn,
        "counted": counted,
        "votes": len(election.ballots),
        "tries": tries,
        "posted in": round(took, 1),
        "told": timeline.told(),
        "rejecting": {name: len(lines) for name, lines in cluster.log_lines("rejecting candidate").items()},
    }
    (tmp_path / "figures.json").write_text(json.dumps(figures, indent=1))
    print(json.dumps(figures, indent=1))
    assert plan["results"] == election.expected(), f"lost {drawn - counted} of {drawn}"


async def cast_all(cluster: SplitCluster, ballots: Sequence[Ballot], slot: int) -> int:
    """Post votes at leader 0, what overflows again after a slot, until it has taken all; in how many tries."""
    tries, left = 0, list(ballots)
    while left:
        tries += 1
        reasons = await cluster.cast("leader0", left)
        assert set(reasons) <= {None, "PoolOverflow", "FragmentAlreadyInLog"}, set(reasons)
        left = [ballot for ballot, reason in zip(left, reasons, strict=True) if reason == "PoolOverflow"]
        await asyncio.sleep(slot)
    return tries
