"""Nodes without services on hosts of their own, and a chain with as many voters as it takes."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from node_fsm_sandbox.election.draw import Question

from node_fsm.chain.fragments import Fragment
from node_fsm.core.block_date import BlockDate
from node_fsm.node.rest import NodeRest
from tests.contract.binaries import Binaries
from tests.contract.chains import Chain, Plan, make_chain
from tests.contract.nodes import Node, until
from tests.netns.votes import QuickWallet, one_vote_each
from tests.support.hosts import Host, Hosts

SLOTS_PER_EPOCH = 600
EXPIRY = BlockDate(1, SLOTS_PER_EPOCH - 1)
"""Far enough for any of these tests."""

QUESTION = Question("The one there is", ("no", "yes"), external_id="00")
AT_ONCE = 500
POOL_ENTRIES = 200_000
"""So many that the node refuses none, other than those of a service do: what it does with them then is to be seen."""

FOLLOWER = "follower"
REST_PORT = 10080
P2P_PORT = 10090


@dataclass
class HostedNode(Node):
    """A node on a host, asked over the network that is never cut."""

    host: Host = field(kw_only=True)

    @property
    def public_address(self) -> str:
        return f"/ip4/{self.host.peer_ip}/tcp/{P2P_PORT}"

    @property
    def base_url(self) -> str:
        return f"http://{self.host.control_ip}:{REST_PORT}/api"

    async def posted(self, votes: Sequence[Fragment], at_once: int = AT_ONCE) -> Counter[str]:
        """Post votes in batches: how many the mempool ``accepted``, or refused for which reason."""
        said: Counter[str] = Counter()
        async with NodeRest(self.base_url, timeout=120) as api:
            for start in range(0, len(votes), at_once):
                batch = [vote.raw for vote in votes[start : start + at_once]]
                said.update(posted.reason or "accepted" for posted in await api.post_fragments(batch))
        return said

    async def states(self, votes: Iterable[Fragment]) -> Counter[str]:
        """How many votes are in which state by the node's log; those it does not know are left out."""
        async with NodeRest(self.base_url, timeout=120) as api:
            statuses = await api.fragment_statuses([vote.id for vote in votes])
        return Counter(str(status.state) for status in statuses.values())

    async def counted(self) -> int:
        """How many votes its ledger has."""
        (plan,) = (await self.get("v0/vote/active/plans", timeout=120)).json()
        return sum(proposal["votes_cast"] for proposal in plan["proposals"])


@dataclass(frozen=True)
class Network:
    """A chain with its voters, who have not voted yet, and its nodes by name."""

    chain: Chain
    voters: list[QuickWallet]
    nodes: dict[str, HostedNode]

    def votes(self, count: int) -> list[Fragment]:
        """One vote each of the next voters."""
        taken, self.voters[:count] = self.voters[:count], []
        return one_vote_each(taken, self.chain, EXPIRY)


@asynccontextmanager
async def network(
    hosts: Hosts,
    binaries: Binaries,
    directory: Path,
    *,
    leaders: int,
    voters: int,
    follower: bool = False,
    parameters: dict[str, Any],
) -> AsyncIterator[Network]:
    """Leaders named ``leader0`` and so on, all connected and running."""
    wallets = [QuickWallet() for _ in range(voters)]
    chain = await make_chain(
        binaries.jcli,
        directory,
        leaders=leaders,
        voters=wallets,
        plans={"plan": Plan(proposals=1)},
        parameters={"slots_per_epoch": SLOTS_PER_EPOCH} | parameters,
    )
    names = [f"leader{number}" for number in range(leaders)]
    nodes = {}
    for number, name in enumerate([*names, FOLLOWER] if follower else names):
        host = hosts.add(name)
        words = " ".join(host.command(str(binaries.jormungandr)))
        program = directory / f"jormungandr-{name}"
        program.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        program.chmod(0o700)
        nodes[name] = HostedNode(
            replace(binaries, jormungandr=program),
            chain,
            directory / name,
            leader=None if name == FOLLOWER else number,
            seed=number == 0,
            overrides={
                "rest": {"listen": f"{host.control_ip}:{REST_PORT}"},
                "p2p": {"listen": f"{host.peer_ip}:{P2P_PORT}"},
                "mempool": {
                    "pool_max_entries": POOL_ENTRIES,
                    "log_max_entries": POOL_ENTRIES,
                    "persistent_log": {"dir": str(directory / name / "fragments")},
                },
            },
            host=host,
        )
    for name, node in nodes.items():
        node.peers = [nodes[other].public_address for other in names if other != name]
    try:
        for node in nodes.values():
            await node.start()
            if node.seed:
                await node.running(60)
        for node in nodes.values():
            await node.running(60)
            await until(partial(_connected, node, len(nodes) - 1), 60)
        yield Network(chain, wallets, nodes)
    finally:
        for node in nodes.values():
            await node.kill()


async def _connected(node: Node, peers: int) -> bool | None:
    """Whether it has so many peers, None if not: nodes meet only some seconds after they run."""
    stats = await node.stats()
    return (stats is not None and stats.peers_connected >= peers) or None
