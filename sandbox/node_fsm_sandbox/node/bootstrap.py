"""Catching up with the trusted peers before the node takes part: blocks, and whom else to talk to."""

import asyncio
import logging
import random
from collections.abc import Iterable

from node_fsm.core.multiaddr import Multiaddr
from node_fsm_sandbox.node.address import Address, resolve
from node_fsm_sandbox.node.chain import Arrival, Chain
from node_fsm_sandbox.node.errors import ExitCode, InvalidBlockError, NodeError
from node_fsm_sandbox.node.settings import P2pSettings
from node_fsm_sandbox.node.wire import Connection, Kind, ProtocolError, connected

RETRY_SECONDS = 5.0

_SAME_TIP_PAUSE = 0.05
"""Seconds between two looks at a peer whose chain is not longer, but is another one. jormungandr takes no pause."""

_logger = logging.getLogger("jormungandr::network::bootstrap")


def resolved(peers: Iterable[Multiaddr]) -> list[Address]:
    """The addresses of *peers*; names that cannot be looked up are told and left out."""
    addresses = []
    for peer in peers:
        try:
            addresses.append(resolve(peer))
        except OSError as error:
            _logger.warning("failed to resolve trusted peer address %s: %s", peer, error)
    return addresses


async def catch_up(settings: P2pSettings, trusted: list[Address], chain: Chain) -> list[Address]:
    """Try until the chain is that of a peer; the peers to begin with, none when it went on without having met any."""
    if settings.skip_bootstrap:
        return []
    attempts = 0
    while settings.max_bootstrap_attempts is None or attempts < settings.max_bootstrap_attempts:
        attempts += 1
        peers = await _peers_of(trusted)
        random.shuffle(peers)
        for address in peers:
            if await _is_caught_up(address, chain):
                return peers
        _logger.info("bootstrap attempt #%d failed, trying again in %g seconds...", attempts, RETRY_SECONDS)
        await asyncio.sleep(RETRY_SECONDS)
    _logger.warning("maximum allowable bootstrap attempts exceeded, continuing...")
    return []


async def fetch_block0(trusted: list[Address], block0_id: str) -> bytes:
    """Block 0 from a trusted peer; NodeError when none gives it."""
    for address in random.sample(trusted, len(trusted)):
        try:
            async with connected(address) as connection:
                frame = await connection.ask(Kind.ASK_BLOCK, Kind.BLOCK, bytes.fromhex(block0_id))
                _logger.info("genesis block fetched")
                return frame.payload
        except OSError as error:
            _logger.warning("failed to download block from %s: %s", address, error or type(error).__name__)
    cause = f"could not download block hash {block0_id}" if trusted else "no trusted peers specified"
    raise NodeError(ExitCode.BLOCK0_NOT_FOUND, "Error fetching the genesis block from the network", cause)


async def _peers_of(trusted: list[Address]) -> list[Address]:
    """All addresses that the trusted peers know, their own among them if they say so."""
    found: set[Address] = set()
    for address in trusted:
        _logger.info("getting peers from bootstrap peer %s", address)
        try:
            async with connected(address) as connection:
                gossip = (await connection.ask(Kind.ASK_PEERS, Kind.GOSSIP)).json()
                found.update(Address.parse(str(peer)) for peer, _ in gossip)
        except (OSError, TypeError, ValueError) as error:
            _logger.warning("failed to retrieve the list of bootstrap peers from trusted peer: %s", error)
    return list(found)


async def _is_caught_up(address: Address, chain: Chain) -> bool:
    """Follow the peer at *address* until both have the same tip; False when it cannot be reached or believed."""
    try:
        async with connected(address) as connection:
            while (await connection.ask(Kind.ASK_TIP, Kind.ANNOUNCE)).ids() != [chain.tip.id]:
                if not await _pull(connection, chain):
                    await asyncio.sleep(_SAME_TIP_PAUSE)
    except (OSError, InvalidBlockError) as error:
        _logger.warning("initial bootstrap failed: %s", error or type(error).__name__)
        return False
    _logger.info("initial bootstrap completed")
    return True


async def _pull(connection: Connection, chain: Chain) -> bool:
    """Take the blocks that the peer has beyond this chain; whether the tip changed."""
    before = chain.tip.id
    connection.send_ids(Kind.ASK_BLOCKS, chain.checkpoints())
    while (frame := await connection.receive()).kind is not Kind.END:
        if frame.kind is Kind.BLOCK and chain.add(frame.payload) is Arrival.ORPHAN:
            raise ProtocolError("MissingParentBlock: the peer is on another chain")
    return chain.tip.id != before
