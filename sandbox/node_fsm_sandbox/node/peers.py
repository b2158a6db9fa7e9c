"""The node among its peers: who is connected, and what they tell each other."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import Any

from node_fsm.core.chain_time import utc_now
from node_fsm_sandbox.node.address import Address
from node_fsm_sandbox.node.chain import Arrival, Chain
from node_fsm_sandbox.node.errors import InvalidBlockError, NodeError
from node_fsm_sandbox.node.link import Link
from node_fsm_sandbox.node.mempool import Mempool
from node_fsm_sandbox.node.messages import read_fragment
from node_fsm_sandbox.node.serving import serve_blocks
from node_fsm_sandbox.node.settings import P2pSettings
from node_fsm_sandbox.node.stats import BlockStats
from node_fsm_sandbox.node.topology import Topology
from node_fsm_sandbox.node.wire import Connection, Frame, Kind, ProtocolError, connected

_NOWHERE = Address("127.0.0.1", 0)
"""What a node that has no address to announce is listed under, so that nobody reaches it."""

_logger = logging.getLogger("jormungandr::network")


class Peers:
    """Takes calls on the node's p2p address, calls the peers it hears of, and passes blocks and fragments on.

    It knows *initial* peers, and whom those and its callers tell it of.
    """

    def __init__(
        self,
        settings: P2pSettings,
        chain: Chain,
        mempool: Mempool,
        stats: BlockStats,
        initial: Iterable[Address] = (),
    ) -> None:
        self._settings = settings
        self._id = settings.node_id.hex()
        self._chain = chain
        self._mempool = mempool
        self._stats = stats
        self._topology = Topology(settings, initial)
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._calling: set[Address] = set()
        self._server: asyncio.Server | None = None
        self._failure: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Take calls and gossip until cancelled; NodeError when a block cannot be stored.

        A port that is taken is only told.
        """
        self._failure = asyncio.get_running_loop().create_future()
        listen = self._settings.listen
        if listen:
            try:
                self._server = await asyncio.start_server(self._take_call, listen.host, listen.port)
                _logger.info("listening and accepting p2p connections on %s", listen)
            except OSError as error:
                _logger.error("failed to listen for P2P connections at %s: %s", listen, error)  # noqa: TRY400 - told
        try:
            while True:
                self._gossip()
                done, _ = await asyncio.wait({self._failure}, timeout=self._settings.gossip_interval)
                if done:
                    self._failure.result()
        finally:
            if self._server:
                self._server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def connected_count(self) -> int:
        """With how many peers there is a connection."""
        return len({link.id for link in self._links})

    def connections_shown(self) -> list[dict[str, Any]]:
        """The connections as REST shows them."""
        return [link.shown() for link in {link.id: link for link in self._links}.values()]

    def available(self) -> list[dict[str, Any]]:
        """The known peers that may be called, as REST shows them."""
        return [peer.shown() for peer in self._topology.available()]

    def quarantined(self) -> list[dict[str, Any]]:
        """The known peers that are left alone for a while, as REST shows them."""
        return [peer.shown() for peer in self._topology.quarantined()]

    def non_public(self) -> list[dict[str, Any]]:
        """The known peers that are not reachable from everywhere, as REST shows them."""
        return [peer.shown() for peer in self._topology.available() if not peer.address.is_global]

    def view(self) -> list[str]:
        """Whom this node gossips with."""
        return [str(peer.address) for peer in self._topology.available()]

    def announce_block(self, block_id: str, told_by: Link | None = None) -> None:
        """Tell the peers of the new tip."""
        for link in self._audience(told_by):
            link.connection.send_ids(Kind.ANNOUNCE, [block_id])

    def announce_fragment(self, raw: bytes, told_by: Link | None = None) -> None:
        """Pass a fragment on to the peers, as far as there is room for it."""
        for link in self._audience(told_by):
            with suppress(asyncio.QueueFull):
                link.fragments.put_nowait(raw)

    def _audience(self, told_by: Link | None) -> list[Link]:
        """Who is told of news: peers whose address is known, but not who told it.

        Two nodes that called each other at the same time have two connections. Both are used: one of them may be dead
        without anybody having noticed.
        """
        excluded = told_by.id if told_by else None
        return [link for link in self._links if link.address and link.id != excluded]

    def _gossip(self) -> None:
        known = self._known_shown()
        for link in self._links:
            link.connection.send_json(Kind.GOSSIP, known)
        linked = {link.address for link in self._links}
        strangers = [peer.address for peer in self._topology.available() if peer.address not in linked]
        if not self._links and not strangers:
            _logger.warning("no peers to gossip with found, check your connection")
        for address in strangers:
            if address not in self._calling:
                self._spawn(self._call(address))

    def _known_shown(self) -> list[tuple[str, str | None]]:
        own = self._settings.announced
        return [*self._topology.gossip(), *([(str(own), self._id)] if own else [])]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call(self, address: Address) -> None:
        self._calling.add(address)
        try:
            async with connected(address) as connection:
                self._say_hello(connection)
                frame = await connection.receive()
                link = self._meet(connection, frame)
                if link.id == self._id:
                    self._topology.forget(address)
                    return
                self._topology.reached(address)
                await self._keep(link)
        except OSError as error:
            self._topology.missed(address)
            _logger.info("connection to peer %s failed: %s", address, error or type(error).__name__)
        finally:
            self._calling.discard(address)

    async def _take_call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        connection = Connection(reader, writer)
        try:
            # A caller that breaks off, or is cut off at the end, has nobody to be told.
            with suppress(OSError, asyncio.CancelledError):
                while True:
                    frame = await connection.receive()
                    if frame.kind is Kind.HELLO:
                        self._say_hello(connection)
                        await self._keep(self._meet(connection, frame))
                    await self._serve(connection, frame)
        finally:
            self._tasks.discard(task)
            connection.close()

    def _say_hello(self, connection: Connection) -> None:
        own = self._settings.announced
        connection.send_json(
            Kind.HELLO, {"id": self._id, "block0": self._chain.block0.id, "address": str(own) if own else None}
        )

    def _meet(self, connection: Connection, frame: Frame) -> Link:
        """Who is at the other end; ProtocolError when it is on another chain."""
        try:
            hello = frame.json()
            node_id, block0, address = str(hello["id"]), hello["block0"], hello["address"]
            announced = Address.parse(str(address)) if address else None
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError(f"no HELLO but {frame.kind.name}") from error
        if block0 != self._chain.block0.id:
            raise ProtocolError(f"the peer is on the chain of block 0 {block0}")
        if announced:
            self._topology.hear_of(announced, node_id)
        heard = announced if announced and self._topology.hears_of(announced) else None
        return Link(connection, node_id, heard, utc_now())

    async def _keep(self, link: Link) -> None:
        """Talk with a peer until the connection ends."""
        self._links.add(link)
        passing_on = asyncio.create_task(link.pass_on())
        try:
            link.connection.send_ids(Kind.ANNOUNCE, [self._chain.tip.id])
            link.connection.send_json(Kind.GOSSIP, self._known_shown())
            while True:
                frame = await link.connection.receive()
                match frame.kind:
                    case Kind.ANNOUNCE:
                        self._hear_of_block(link, frame)
                    case Kind.BLOCK:
                        self._take_block(link, frame.payload)
                    case Kind.END:
                        link.catching_up = False
                    case Kind.FRAGMENT:
                        self._take_fragment(link, frame.payload)
                    case Kind.GOSSIP:
                        self._hear_gossip(link, frame)
                    case _:
                        await self._serve(link.connection, frame)
        finally:
            self._links.discard(link)
            passing_on.cancel()

    async def _serve(self, connection: Connection, frame: Frame) -> None:
        """Answer who asks, peer or not."""
        if frame.kind is Kind.ASK_PEERS:
            own = (str(self._settings.announced or _NOWHERE), self._id)
            connection.send_json(Kind.GOSSIP, [*self._topology.gossip(), own])
        else:
            await serve_blocks(connection, frame, self._chain)
        await connection.drain()

    def _hear_of_block(self, link: Link, frame: Frame) -> None:
        for block_id in frame.ids():
            if block_id not in self._chain:
                link.connection.send_ids(Kind.ASK_BLOCK, [block_id])

    def _take_block(self, link: Link, raw: bytes) -> None:
        try:
            arrival = self._chain.add(raw)
        except InvalidBlockError as error:
            _logger.warning("block from peer %s refused: %s", link.id, error)
            raise ProtocolError("an invalid block") from error
        except NodeError as error:
            if self._failure and not self._failure.done():
                self._failure.set_exception(error)
            return
        if arrival is Arrival.ORPHAN and not link.catching_up:
            link.catching_up = True
            link.connection.send_ids(Kind.ASK_BLOCKS, self._chain.checkpoints())
        if arrival in {Arrival.TIP, Arrival.BRANCH}:
            link.last_block = utc_now()
            self._stats.received_blocks += 1
        if arrival is Arrival.TIP:
            self.announce_block(self._chain.tip.id, told_by=link)

    def _take_fragment(self, link: Link, raw: bytes) -> None:
        message = read_fragment(raw)
        if message is None:
            raise ProtocolError("a malformed fragment")
        link.last_fragment = utc_now()
        if self._mempool.receive([message], "Network", fail_fast=False).accepted:
            self.announce_fragment(raw, told_by=link)

    def _hear_gossip(self, link: Link, frame: Frame) -> None:
        link.last_gossip = utc_now()
        try:
            self._topology.hear_gossip(frame.json())
        except (TypeError, ValueError) as error:
            raise ProtocolError("gossip of another kind") from error
