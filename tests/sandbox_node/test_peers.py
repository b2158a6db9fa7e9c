"""Catching up and keeping up, with nodes in this process."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from node_fsm_sandbox.node.address import Address
from node_fsm_sandbox.node.bootstrap import catch_up, fetch_block0, resolved
from node_fsm_sandbox.node.chain import Chain
from node_fsm_sandbox.node.errors import ExitCode, NodeError
from node_fsm_sandbox.node.mempool import Mempool
from node_fsm_sandbox.node.peers import Peers
from node_fsm_sandbox.node.settings import P2pSettings
from node_fsm_sandbox.node.stats import BlockStats
from node_fsm_sandbox.node.wire import Connection, Kind, connected
from node_fsm_sandbox.servers.server import LOOPBACK, free_port

from node_fsm.core.multiaddr import Multiaddr
from tests.sandbox_node.world import BLOCK0, BLOCK0_HASH, VOTERS, World, block, header, message, vote
from tests.support.polling import HANGING, eventually


class LocalNode:
    """A node without REST and without a leader: blocks come from the test."""

    def __init__(self) -> None:
        self.address = Address(LOOPBACK, free_port())
        self.world = World()
        self.mempool = Mempool(self.world.chain.ledger.parameters, None, 10, 10, self.world.time)
        self.world.time.slot = 50

    @property
    def chain(self) -> Chain:
        return self.world.chain

    def settings(self, **other: object) -> P2pSettings:
        found = P2pSettings(
            node_id=str(self.address).encode().ljust(32),
            listen=self.address,
            announced=self.address,
            trusted_peers=(),
            allow_private_addresses=True,
            gossip_interval=0.05,
            quarantine=0.1,
            skip_bootstrap=False,
            max_bootstrap_attempts=None,
        )
        return found._replace(**other)  # type: ignore[arg-type]  # names of its fields

    @asynccontextmanager
    async def running(self, *initial: Address) -> AsyncIterator[Peers]:
        """Take part, knowing these peers."""
        self.world.chain.on_turn = self.mempool.follow
        peers = Peers(self.settings(), self.world.chain, self.mempool, BlockStats(self.world.chain), initial)
        task = asyncio.create_task(peers.run())
        try:
            await self._listens()
            yield peers
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _listens(self) -> None:
        async with asyncio.timeout(HANGING):
            while True:
                with suppress(OSError):
                    async with connected(self.address):
                        return
                await asyncio.sleep(0.01)

    def grow(self, *slots: int, parent: bytes = BLOCK0) -> bytes:
        """Blocks of these slots on top of each other; the last of them."""
        for slot in slots:
            parent = block(parent, slot)
            self.world.chain.add(parent)
        return parent


def height(node: LocalNode) -> int:
    return node.chain.tip.height


async def test_a_newcomer_pulls_the_chain_and_hears_of_new_blocks() -> None:
    old, new = LocalNode(), LocalNode()
    tip = old.grow(*range(1, 40))
    async with old.running() as peers:
        found = await catch_up(new.settings(), [old.address], new.chain)
        assert (found, height(new)) == ([old.address], 39)
        async with new.running(*found) as others:
            await eventually(lambda: peers.connected_count == others.connected_count == 1)
            old.grow(41, parent=tip)
            peers.announce_block(old.chain.tip.id)
            await eventually(lambda: height(new) == 40)
            cast = message(vote(VOTERS[0]))
            old.mempool.receive([cast], "Rest", fail_fast=False)
            peers.announce_fragment(cast.raw)
            await eventually(lambda: new.mempool.status(cast.id) == "Pending")


async def test_whose_chain_is_better_waits_until_it_is_not() -> None:
    """As the real node does: it cannot catch up with a shorter chain, nor with another one as long."""
    peer, node = LocalNode(), LocalNode()
    tip = peer.grow(1)
    node.grow(2, 3)
    async with peer.running():
        task = asyncio.create_task(catch_up(node.settings(), [peer.address], node.chain))
        tip = peer.grow(3, parent=tip)
        done, _ = await asyncio.wait({task}, timeout=0.3)
        assert not done
        peer.grow(4, parent=tip)
        async with asyncio.timeout(HANGING):
            assert await task == [peer.address]
    assert node.chain.tip.id == peer.chain.tip.id


async def test_healing() -> None:
    """Two who lost each other call again; the longer chain wins on both."""
    first, second = LocalNode(), LocalNode()
    first.grow(1, 2)
    second.grow(3, 4, 5)
    async with first.running(second.address):
        async with second.running():
            await eventually(lambda: first.chain.tip.id == second.chain.tip.id)
        assert height(first) == 3
        first.grow(7, parent=first.chain.raw(first.chain.tip.id))
        async with second.running() as peers:
            await eventually(lambda: height(second) == 4)
            assert peers.connected_count == 1


async def test_a_third_is_found_through_gossip() -> None:
    nodes = [LocalNode() for _ in range(3)]
    async with nodes[0].running() as first, nodes[1].running(nodes[0].address):
        async with nodes[2].running(nodes[0].address) as third:
            await eventually(lambda: first.connected_count == third.connected_count == 2)
        await eventually(lambda: first.connected_count == 1)


async def to_the_end(connection: Connection) -> None:
    """Receive until the other end lets go; ConnectionError then."""
    async with asyncio.timeout(HANGING):
        while True:
            await connection.receive()


async def hello(connection: Connection, block0: str = BLOCK0_HASH) -> None:
    connection.send_json(Kind.HELLO, {"id": "stranger", "block0": block0, "address": None})


Misbehaviour = Callable[[Connection], None]
MISBEHAVIOUR: dict[str, Misbehaviour] = {
    "another chain": lambda peer: peer.send_json(Kind.HELLO, {"id": "x", "block0": "ff" * 32, "address": None}),
    "an invalid block": lambda peer: peer.send(Kind.BLOCK, block(BLOCK0, 1, leader=VOTERS[0])),
    "no fragment": lambda peer: peer.send(Kind.FRAGMENT, b"x"),
    "no gossip": lambda peer: peer.send_json(Kind.GOSSIP, 3),
    "no ids": lambda peer: peer.send(Kind.ANNOUNCE, b"x"),
    "no JSON": lambda peer: peer.send(Kind.GOSSIP, b"{"),
    "JSON without end": lambda peer: peer.send(Kind.GOSSIP, b"[" * 10_000),
}


@pytest.mark.parametrize("misbehave", MISBEHAVIOUR.values(), ids=MISBEHAVIOUR)
async def test_who_misbehaves_is_let_go_of(misbehave: Misbehaviour) -> None:
    node = LocalNode()
    async with node.running() as peers, connected(node.address) as stranger:
        if misbehave is not MISBEHAVIOUR["another chain"]:
            await hello(stranger)
        misbehave(stranger)
        with pytest.raises(ConnectionError):
            await to_the_end(stranger)
        await eventually(lambda: peers.connected_count == 0)
        other = LocalNode()
        assert await catch_up(other.settings(), [node.address], other.chain) == [node.address]


async def test_blocks_by_id() -> None:
    node = LocalNode()
    tip = node.grow(1)
    async with node.running():
        assert await fetch_block0([node.address], header(tip).id) == tip
        with pytest.raises(NodeError, match="genesis block from the network") as caught:
            await fetch_block0([node.address, Address(LOOPBACK, free_port())], "ff" * 32)
    assert caught.value.code == ExitCode.BLOCK0_NOT_FOUND


async def test_attempts_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node_fsm_sandbox.node.bootstrap.RETRY_SECONDS", 0.01)
    node, nobody = LocalNode(), Address(LOOPBACK, free_port())
    assert await catch_up(node.settings(max_bootstrap_attempts=3), [nobody], node.chain) == []
    assert await catch_up(node.settings(skip_bootstrap=True), [nobody], node.chain) == []


async def test_names_are_looked_up() -> None:
    named = Multiaddr.parse(f"/dns4/localhost/tcp/{free_port()}")
    lost = Multiaddr.parse("/dns4/nowhere.invalid/tcp/1")
    assert resolved([named, lost]) == [Address(LOOPBACK, named.port)]
