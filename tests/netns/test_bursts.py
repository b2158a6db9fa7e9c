"""Many votes come at once, from senders who try again what is refused for want of room; nothing is cut or killed."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from node_fsm_sandbox.election.draw import Ballot, Voter, draw_election
from node_fsm_sandbox.election.schedule import Times

from node_fsm.core.capacity import fitting_block_size
from node_fsm.core.errors import ServiceError, TemporaryError
from tests.netns.split_cluster import FOLLOWER, SplitCluster
from tests.netns.votes import QuickWallet, power


@dataclass(frozen=True)
class Burst:
    """So many votes at once, all *at* one node; in how many seconds a chain of its *slot* is to take them.

    They are posted *before_end* of voting so many seconds if that is said, else as soon as it is open.
    """

    votes: int
    slot: int
    leaders: int = 1
    seconds: int = 120
    at: str = "leader0"
    before_end: float | None = None


BURSTS = {
    "4 s slots, 6,000": Burst(6_000, 4),
    "4 s slots, 12,000": Burst(12_000, 4),
    "4 s slots, 40,000": Burst(40_000, 4),
    "1 s slots, 20,000": Burst(20_000, 1),
    "three leaders, 1 s slots, 20,000": Burst(20_000, 1, leaders=3),
    "three leaders, 4 s slots, 40,000": Burst(40_000, 4, leaders=3, seconds=240),
    "five leaders, 4 s slots, 8,000": Burst(8_000, 4, leaders=5, seconds=240),
    "three leaders, 4 s slots, 2,000 at a follower": Burst(2_000, 4, leaders=3, at=FOLLOWER),
    "three leaders, 1 s slots, 2,000 at a follower": Burst(2_000, 1, leaders=3, seconds=60, at=FOLLOWER),
    "three leaders, 4 s slots, 200 at a follower just before the end": Burst(
        200, 4, leaders=3, seconds=60, at=FOLLOWER, before_end=30
    ),
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
        [f"leader{number}" for number in range(burst.leaders)] + [FOLLOWER] * (burst.at == FOLLOWER),
        {"slot_duration": burst.slot, "slots_per_epoch": 600, "block_content_max_size": fitting_block_size(burst.slot)},
    )
    times = Times.soon(40 + burst.votes // 1000, voting=burst.seconds, tallying=120)
    election = draw_election("a burst", times, voters, drawing)
    cluster.post_election(election)
    await cluster.wait_for_voting(election)
    async with cluster.watched(times.voting_end) as timeline, counting(cluster) as counts:
        if burst.before_end is not None:
            await asyncio.sleep(-burst.before_end - timeline.now())
        began = time.monotonic()
        tries = await cast_all(cluster, burst, election.ballots)
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
        "in blocks": [(round(at - began, 1), votes) for at, votes in counts],
        "posted again": {name: len(lines) for name, lines in cluster.log_lines("votes again").items()},
        "restarted": cluster.log_lines("votes to itself"),
        "told": timeline.told(),
        "rejecting": {name: len(lines) for name, lines in cluster.log_lines("rejecting candidate").items()},
    }
    (tmp_path / "figures.json").write_text(json.dumps(figures, indent=1))
    print(json.dumps(figures, indent=1))
    assert plan["results"] == election.expected(), f"lost {drawn - counted} of {drawn}"


async def cast_all(cluster: SplitCluster, burst: Burst, ballots: Sequence[Ballot]) -> int:
    """Post votes at one node, what overflows again after a slot, until it has taken all; in how many tries.

    The node may be started anew meanwhile.
    """
    tries, left = 0, list(ballots)
    while left:
        tries += 1
        with suppress(TemporaryError):
            reasons = await cluster.cast(burst.at, left)
            assert set(reasons) <= {None, "PoolOverflow", "FragmentAlreadyInLog"}, set(reasons)
            left = [ballot for ballot, reason in zip(left, reasons, strict=True) if reason == "PoolOverflow"]
        await asyncio.sleep(burst.slot)
    return tries


@asynccontextmanager
async def counting(cluster: SplitCluster) -> AsyncIterator[list[tuple[float, int]]]:
    """By time, in seconds of the monotonic clock, how many votes leader 0's chain has; what changes it is added."""
    counts: list[tuple[float, int]] = []

    async def watch() -> None:
        while True:
            with suppress(ServiceError):  # it has ended, or is busy
                plans = await cluster.members["leader0"].node.vote_plans()
                votes = sum(proposal.votes_cast for plan in plans.values() for proposal in plan.proposals)
                if not counts or counts[-1][1] != votes:
                    counts.append((time.monotonic(), votes))
            await asyncio.sleep(1)

    watcher = asyncio.create_task(watch())
    try:
        yield counts
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
