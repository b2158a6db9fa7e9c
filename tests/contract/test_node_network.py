"""Nodes among each other: catching up, passing votes and blocks on, falling apart and coming together again."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from node_fsm_sandbox.servers.server import LOOPBACK, free_port

from node_fsm.node.rest import NodeRest
from node_fsm.ports.answers import FragmentState, NodeStats
from tests.contract.binaries import Binaries
from tests.contract.chains import Chain, Wallet, make_chain, vote
from tests.contract.nodes import Node, until
from tests.support.polling import HANGING
from tests.support.proxy import FaultyProxy

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT_ONCE = {"p2p": {"max_bootstrap_attempts": 0}}
"""Of who begins a chain: it does not wait for peers."""


@dataclass
class Network:
    """Two leaders, and a follower that began with nothing but the hash of block 0."""

    chain: Chain
    voters: list[Wallet]
    leaders: list[Node]
    follower: Node
    lonely: Node
    """A seed, begun before all others, that meets nobody."""
    aloof: Node
    """A follower that has trusted peers and does not bootstrap."""

    @property
    def nodes(self) -> list[Node]:
        return [*self.leaders, self.follower]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def network(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Network]:
    directory = tmp_path_factory.mktemp("network")
    voters = [Wallet() for _ in range(6)]
    chain = await make_chain(binaries.jcli, directory, leaders=2, voters=voters, age=3)
    first, second = (Node(binaries, chain, directory / f"leader{number}", leader=number) for number in range(2))
    first.peers, second.peers = [second.public_address], [first.public_address]
    first.overrides = AT_ONCE
    follower = Node(binaries, chain, directory / "follower", leader=None)
    # A peer may be named by DNS; whose id it is said to have is not looked at.
    named = [f"/dns4/localhost/tcp/{leader.p2p_port}" for leader in (first, second)]
    follower.peers = named
    trusted = [{"address": peer, "id": Wallet().leader_id} for peer in named]
    follower.overrides = {"p2p": {"allow_private_addresses": True, "trusted_peers": trusted}}
    lonely = Node(
        binaries, chain, directory / "lonely", leader=0, peers=[f"/ip4/{LOOPBACK}/tcp/{free_port()}"], seed=True
    )
    aloof = Node(binaries, chain, directory / "aloof", leader=None, peers=[first.public_address])
    aloof.overrides = {"skip_bootstrap": True}
    network = Network(chain, voters, [first, second], follower, lonely, aloof)
    await lonely.start()
    await first.start()
    await first.running()
    await second.start()
    await second.running()
    await aloof.start()
    await follower.start("--genesis-block-hash", chain.block0_hash)
    await follower.running()
    yield network
    for node in [*network.nodes, lonely, aloof]:
        await node.kill()


def nobody() -> str:
    """An address where no node is."""
    return f"/ip4/{LOOPBACK}/tcp/{free_port()}"


async def agreed(*nodes: Node, above: int, seconds: float = HANGING) -> list[str]:
    """Wait until all nodes have the same chain to a height above *above*; its ids without the last two."""

    async def ask() -> list[str] | None:
        chains = []
        for node in nodes:
            stats = await node.stats()
            if stats is None or stats.height <= above:
                return None
            async with NodeRest(node.base_url) as api:
                chains.append(await api.next_ids(node.chain.block0_hash, 1000) or [])
        shortest = min(map(len, chains)) - 1
        same = all(chain[:shortest] == chains[0][:shortest] for chain in chains)
        return chains[0][:shortest] if same and shortest > above else None

    return await until(ask, seconds)


async def peers_of(node: Node, count: int, seconds: float = HANGING) -> NodeStats:
    async def ask() -> NodeStats | None:
        stats = await node.stats()
        return stats if stats and stats.peers_connected == count else None

    return await until(ask, seconds)


async def test_leaders_take_turns_and_a_follower_follows(network: Network) -> None:
    await agreed(*network.nodes, above=3)
    first, _, follower = network.nodes
    logs = (await first.get("v0/leaders/logs")).json()
    minted = {log["scheduled_at_date"] for log in logs if "Block" in log["status"]}
    assert {int(date.partition(".")[2]) % 2 for date in minted} == {0}
    assert not {date for date in minted if date.endswith(".0")}
    assert (await follower.get("v0/leaders/logs")).json() == []
    assert (await follower.stats() or pytest.fail("it answers")).peers_connected >= 1
    (shown, *_) = (await first.get("v0/network/stats")).json()
    assert set(shown) == {"addr", "establishedAt", "lastBlockReceived", "lastFragmentReceived", "lastGossipReceived"}
    assert shown["addr"] is None
    known = (await first.get("v0/network/p2p/available")).json()
    assert network.leaders[1].p2p_port in {int(peer["address"].rpartition(":")[2]) for peer in known}
    assert set(known[0]) == {"id", "address", "last_update", "quarantined", "subscriptions"}


async def test_a_vote_at_the_follower_comes_into_a_block_everywhere(network: Network) -> None:
    cast = vote(network.chain, network.voters[0])
    await network.follower.post(cast)
    found = [await node.outcomes(cast) for node in network.nodes]
    assert [status.state for (status,) in found] == [FragmentState.IN_A_BLOCK] * 3
    assert len({status.block for (status,) in found}) == 1
    origins = [(await node.get("v0/fragment/logs")).json()[0]["received_from"] for node in network.nodes]
    assert origins == ["Network", "Network", "Rest"]


async def test_a_rejected_vote_is_pending_where_nobody_tried_it(network: Network) -> None:
    """A rejection is known to who tried the fragment; the next leader tries it too."""
    cast = vote(network.chain, Wallet())
    await network.leaders[0].post(cast)
    for leader in network.leaders:
        (status,) = await leader.outcomes(cast)
        assert status.reason == "Error or Invalid account: Account does not exist"


async def test_a_node_passes_on_no_more_of_a_batch_than_its_buffers_hold(network: Network) -> None:
    """The rest it keeps to itself, and takes it no second time."""
    cast = [vote(network.chain, Wallet()) for _ in range(200)]
    await network.follower.post(*cast)
    counted = vote(network.chain, network.voters[3])
    await network.leaders[0].post(counted)
    await network.follower.outcomes(counted)
    ids = [fragment.id for fragment in cast]
    for leader in network.leaders:
        async with NodeRest(leader.base_url) as api:
            assert len(await api.fragment_statuses(ids)) < len(ids)
    assert set((await network.follower.post(*cast)).values()) == {"FragmentAlreadyInLog"}


async def test_a_killed_leader_comes_back(network: Network) -> None:
    """The others go on without it, and it catches up."""
    first, second, follower = network.nodes
    await second.kill()
    cast = vote(network.chain, network.voters[1])
    await follower.post(cast)
    (status,) = await first.outcomes(cast)
    assert status.state is FragmentState.IN_A_BLOCK
    await second.start()
    stats = await second.running()
    await agreed(*network.nodes, above=stats.height)
    path = f"v1/votes/plan/account-votes/{network.voters[1].id}"
    assert (await second.get(path)).json()[0]["votes"] == [0]
    await peers_of(second, 2)


async def test_waiting_for_peers(binaries: Binaries, network: Network, tmp_path: Path) -> None:
    """Until it has met a peer a node shows only the chain that it has."""
    node = Node(binaries, network.chain, tmp_path / "node", leader=None, peers=[nobody()])
    await node.start()

    async def answers() -> bool | None:
        try:
            return (await node.get("v0/tip")).status_code == 200 or None
        except OSError:
            return None
        except Exception as error:  # noqa: BLE001 - whatever the client raises while nobody listens
            return None if "connect" in type(error).__name__.lower() else pytest.fail(str(error))

    await until(answers)
    assert (await node.get("v0/tip")).text == network.chain.block0_hash
    for path in ("v0/vote/active/plans", "v0/diagnostic", f"v0/account/{network.voters[0].id}"):
        assert (await node.get(path)).status_code == 200, path
    for path in ("v0/node/stats", "v0/settings", "v0/fragment/logs", "v0/network/stats", "v0/leaders/logs"):
        answer = await node.get(path)
        assert answer.status_code == 500, path
        assert answer.text == "Internal server error: Full REST/RPC context not available yet\n"
    cast = vote(network.chain, network.voters[2])
    assert (await node.request("POST", "v0/message", content=cast.raw)).status_code == 500
    assert await node.stop() == 0
    assert (tmp_path / "node" / "stderr.log").read_text() == "Interrupted by the user\n"


async def test_shut_down_while_waiting_for_peers(binaries: Binaries, network: Network, tmp_path: Path) -> None:
    node = Node(binaries, network.chain, tmp_path / "node", leader=None, peers=[nobody()])
    await node.start()

    async def told() -> bool | None:
        return "bootstrap attempt #1 failed" in node.log.read_text() or None

    await until(told)
    assert (await node.get("v0/shutdown")).status_code == 200
    assert node.process is not None
    async with asyncio.timeout(HANGING):
        assert await node.process.wait() == 0


async def test_the_seed_goes_on_alone(network: Network) -> None:
    await network.lonely.height(1)
    assert "maximum allowable bootstrap attempts exceeded, continuing..." in network.lonely.log.read_text()


async def test_who_skips_the_bootstrap_calls_nobody(network: Network) -> None:
    stats = await network.aloof.running()
    assert (stats.height, stats.peers_connected) == (0, 0)
    assert (await network.aloof.get("v0/network/p2p/available")).json() == []
    for leader in network.leaders:
        known = (await leader.get("v0/network/p2p/available")).json()
        assert network.aloof.p2p_port not in {int(peer["address"].rpartition(":")[2]) for peer in known}


async def test_peers_of_another_chain_are_no_peers(binaries: Binaries, network: Network, tmp_path: Path) -> None:
    other = await make_chain(binaries.jcli, tmp_path, age=3)
    node = Node(binaries, other, tmp_path / "node", leader=0, peers=[network.leaders[0].public_address])
    await node.start()

    async def told() -> bool | None:
        return "initial bootstrap failed" in node.log.read_text() or None

    await until(told)
    assert await node.stats() is None
    assert (await node.get("v0/tip")).text == other.block0_hash
    assert await node.stop() == 0


async def test_unknown_block0_is_not_found(binaries: Binaries, network: Network, tmp_path: Path) -> None:
    node = Node(binaries, network.chain, tmp_path / "node", leader=None, peers=[network.leaders[0].public_address])
    await node.start("--genesis-block-hash", "ff" * 32)
    assert node.process is not None
    async with asyncio.timeout(HANGING):
        assert await node.process.wait() == 9
    assert f"could not download block hash {'ff' * 32}" in (tmp_path / "node" / "stderr.log").read_text()


async def test_who_hears_no_private_addresses_tells_nobody_there(binaries: Binaries, tmp_path: Path) -> None:
    """A follower catches up with such a leader, looks connected, and stands still."""
    chain = await make_chain(binaries.jcli, tmp_path, age=3)
    leader = Node(binaries, chain, tmp_path / "leader", overrides={"p2p": {"allow_private_addresses": False}})
    follower = Node(binaries, chain, tmp_path / "follower", leader=None, peers=[leader.public_address])
    try:
        await leader.start()
        await leader.height(1)
        await follower.start()
        stats = await follower.running()
        assert (await peers_of(follower, 1)).height >= 1
        await leader.height(stats.height + 2)
        assert (await follower.running()).height < stats.height + 2
    finally:
        for node in (leader, follower):
            await node.kill()


async def test_cut_and_heal(binaries: Binaries, tmp_path: Path) -> None:
    """Cut off from each other two leaders mint two chains; healed, the longer one is everybody's.

    What was voted on the other chain is gone, and can be voted again. (The real node looks for peers that it has lost
    every minute, and only when it has heard nothing for network_stuck_check, 5 minutes by default.)
    """
    voters = [Wallet() for _ in range(2)]
    chain = await make_chain(binaries.jcli, tmp_path, leaders=2, voters=voters, age=3)
    first, second = (Node(binaries, chain, tmp_path / f"leader{number}", leader=number) for number in range(2))
    impatient = {
        "network_stuck_check": "1s",
        "gossip_interval": "500ms",
        "policy": {"quarantine_duration": "1s"},
    }
    first.overrides, second.overrides = {"p2p": AT_ONCE["p2p"] | impatient}, {"p2p": impatient}
    with FaultyProxy(first.p2p_port) as to_first, FaultyProxy(second.p2p_port) as to_second:
        first.public_port, second.public_port = to_first.port, to_second.port
        first.peers, second.peers = [second.public_address], [first.public_address]
        try:
            await first.start()
            await first.running()
            await second.start()
            await second.running()
            await agreed(first, second, above=0)
            for proxy in (to_first, to_second):
                proxy.refuse()
            apart = [vote(chain, voter) for voter in voters]
            for node, cast in zip((first, second), apart, strict=True):
                await node.post(cast)
            blocks = [await node.outcomes(cast) for node, cast in zip((first, second), apart, strict=True)]
            assert {status.state for (status,) in blocks} == {FragmentState.IN_A_BLOCK}
            for proxy in (to_first, to_second):
                proxy.heal()
            height = max([(await node.running()).height for node in (first, second)])
            await agreed(first, second, above=height, seconds=160)
            counted = [(await first.get(f"v0/account/{voter.id}")).json()["counters"][0] for voter in voters]
            assert sorted(counted) == [0, 1]
            again = vote(chain, voters[counted.index(0)], choice=2)
            await first.post(again)
            (status,) = await second.outcomes(again)
            assert status.state is FragmentState.IN_A_BLOCK
        finally:
            for node in (first, second):
                await node.kill()
