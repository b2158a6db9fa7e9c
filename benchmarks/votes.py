"""How many votes a second a chain takes without losing one, by its number of leaders.

    python -m benchmarks.votes [VOTES [AT_ONCE]]

Real nodes on this machine, configured as the service does it, without services, which would bring back what they lose.
The votes are shared out among the leaders and posted in batches of AT_ONCE, what overflows again a slot later, until
all are in blocks or none came for long. Beside it, as the raw tool, jcli posts a few of them one after the other.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from time import perf_counter

from benchmarks.real_election import binary, run
from node_fsm.chain.fragments import Fragment
from node_fsm.core.block_date import BlockDate
from node_fsm.core.capacity import fitting_block_size, mempool_entries
from node_fsm.node.rest import NodeRest
from tests.contract.binaries import Binaries
from tests.contract.chains import Plan, make_chain
from tests.contract.nodes import Node, until
from tests.netns.votes import QuickWallet, one_vote_each

LEADERS = (1, 3, 5)
SLOT_SECONDS = 4
SLOTS_PER_EPOCH = 600
BY_JCLI = 100
QUIET_SECONDS = 10.0 * SLOT_SECONDS
"""After so long without a vote in a block no more will come."""

START_SECONDS = 120.0
REST_SECONDS = 60.0


async def main(votes: int, at_once: int) -> None:
    """Measure each number of leaders, and print the figures."""
    jcli = binary("jcli", "NODE_FSM_JCLI_PATH")
    binaries = Binaries(sandbox=False, jcli=jcli, jormungandr=binary("jormungandr", "NODE_FSM_JORM_PATH"))
    print(f"{votes} votes, {at_once} at once, slots of {SLOT_SECONDS} s:")
    alone = 0.0
    for leaders in LEADERS:
        with tempfile.TemporaryDirectory() as directory:
            async with running_chain(binaries, Path(directory), leaders, votes + BY_JCLI) as (nodes, fragments):
                by_jcli, rest = fragments[:BY_JCLI], fragments[BY_JCLI:]
                rate, counted, refused = await measure(nodes, rest, at_once)
                alone = alone or rate
                rejected = sum(node.log.read_text().count("rejecting candidate") for node in nodes)
                print(
                    f"  {leaders} leaders: {rate:6.0f} votes a second = {rate / alone:.2f} x one leader,"
                    f" {votes - counted} lost, {refused} times no room, {rejected} blocks rejected"
                )
                if leaders == 1:
                    raw = await asyncio.to_thread(posting_rate, jcli, nodes[0], by_jcli, Path(directory))
                    print(f"            jcli alone posts {raw:.0f} a second: a chain takes {rate / raw:.1f} x that")


@asynccontextmanager
async def running_chain(
    binaries: Binaries, directory: Path, leaders: int, votes: int
) -> AsyncIterator[tuple[list[Node], list[Fragment]]]:
    """The leaders of a chain, which all know each other, and its votes."""
    wallets = [QuickWallet() for _ in range(votes)]
    chain = await make_chain(
        binaries.jcli,
        directory,
        leaders=leaders,
        voters=wallets,
        plans={"plan": Plan(proposals=1)},
        parameters={
            "slot_duration": SLOT_SECONDS,
            "slots_per_epoch": SLOTS_PER_EPOCH,
            "block_content_max_size": fitting_block_size(SLOT_SECONDS),
        },
    )
    pool = {"pool_max_entries": mempool_entries(SLOT_SECONDS), "log_max_entries": 200_000}
    nodes = [
        Node(binaries, chain, directory / f"leader{number}", number, seed=number == 0, overrides={"mempool": pool})
        for number in range(leaders)
    ]
    for node in nodes:
        node.peers = [other.public_address for other in nodes if other is not node]
    try:
        for node in nodes:
            await node.start()
            await node.running(START_SECONDS)
        for node in nodes:
            await until(partial(_has_peers, node, leaders - 1), START_SECONDS)
        yield nodes, one_vote_each(wallets, chain, BlockDate(1, SLOTS_PER_EPOCH - 1))
    finally:
        for node in nodes:
            await node.kill()


async def measure(nodes: Sequence[Node], votes: Sequence[Fragment], at_once: int) -> tuple[float, int, int]:
    """Post them: how many a second came into blocks, how many in all, and how often there was no room."""
    began = perf_counter()
    shares = [votes[number :: len(nodes)] for number in range(len(nodes))]
    posting = [asyncio.create_task(post(node, share, at_once)) for node, share in zip(nodes, shares, strict=True)]
    counted, last = 0, began
    while counted < len(votes) and (perf_counter() - last < QUIET_SECONDS or not all(task.done() for task in posting)):
        await asyncio.sleep(SLOT_SECONDS / 4)
        now = await votes_in_blocks(nodes[0])
        if now != counted:
            counted, last = now, perf_counter()
    return counted / (last - began), counted, sum(await asyncio.gather(*posting))


async def post(node: Node, votes: Sequence[Fragment], at_once: int) -> int:
    """Post votes at one node until it has taken all; how often it had no room."""
    refused, left = 0, list(votes)
    async with NodeRest(node.base_url, timeout=REST_SECONDS) as api:
        while left:
            full: set[str] = set()
            for start in range(0, len(left), at_once):
                answers = await api.post_fragments([vote.raw for vote in left[start : start + at_once]])
                full.update(answer.id for answer in answers if answer.reason == "PoolOverflow")
                if full:
                    full.update(vote.id for vote in left[start + at_once :])
                    break
            left = [vote for vote in left if vote.id in full]
            refused += bool(left)
            if left:
                await asyncio.sleep(SLOT_SECONDS)
    return refused


async def votes_in_blocks(node: Node) -> int:
    """How many the ledger has at its tip."""
    (plan,) = (await node.get("v0/vote/active/plans", timeout=REST_SECONDS)).json()
    return sum(proposal["votes_cast"] for proposal in plan["proposals"])


def posting_rate(jcli: Path, node: Node, votes: Sequence[Fragment], directory: Path) -> float:
    """How many votes a second jcli posts, a command for each."""
    files = []
    for number, vote in enumerate(votes):
        file = directory / f"vote-{number}"
        file.write_text(vote.raw.hex())
        files.append(file)
    began = perf_counter()
    for file in files:
        run(str(jcli), "rest", "v0", "message", "post", "--host", node.base_url, "--file", str(file))
    return len(files) / (perf_counter() - began)


async def _has_peers(node: Node, count: int) -> bool | None:
    stats = await node.stats()
    return (stats is not None and stats.peers_connected >= count) or None


if __name__ == "__main__":
    asyncio.run(main(*(int(given) for given in (*sys.argv[1:], "8000", "8")[:2])))
