"""The life of a node: loading its chain, catching up with its peers, running, and ending."""

import asyncio
import logging
import signal
from collections.abc import Coroutine
from typing import Any

from node_fsm.chain.blocks import BlockHeader
from node_fsm.core.chain_time import utc_now
from node_fsm_sandbox.formats.crypto import SigningKey
from node_fsm_sandbox.node import rest_v0, rest_v1
from node_fsm_sandbox.node.bootstrap import catch_up, resolved
from node_fsm_sandbox.node.chain import Chain, Turn
from node_fsm_sandbox.node.context import Context, Services
from node_fsm_sandbox.node.errors import ExitCode, InterruptedStartError, NodeError, system_reason
from node_fsm_sandbox.node.genesis import load_chain
from node_fsm_sandbox.node.http_server import HttpServer
from node_fsm_sandbox.node.leader import Leader, LeaderLog
from node_fsm_sandbox.node.mempool import Mempool
from node_fsm_sandbox.node.peers import Peers
from node_fsm_sandbox.node.received import ReceivedLog
from node_fsm_sandbox.node.rest import Rest
from node_fsm_sandbox.node.secret import load_signing_key
from node_fsm_sandbox.node.settings import Settings
from node_fsm_sandbox.node.stats import BlockStats
from node_fsm_sandbox.node.store import BlockStore

_logger = logging.getLogger("jormungandr")
_storage_logger = logging.getLogger("jormungandr::start_up")
_tip_logger = logging.getLogger("jormungandr::blockchain::tip")
_task_logger = logging.getLogger("jormungandr::utils::task")


async def run(settings: Settings, store: BlockStore) -> None:
    """Run a node until SIGTERM, SIGINT or a request to shut down; NodeError when it must end otherwise."""
    if not settings.p2p.trusted_peers and not settings.p2p.skip_bootstrap:
        raise NodeError(
            ExitCode.BOOTSTRAP,
            "Error while loading the blockchain from the network",
            "Trusted peers cannot be empty. To avoid bootstrap use `skip_bootstrap: true`",
        )
    ending = asyncio.Event()

    def end(cause: str) -> None:
        _task_logger.info("service `%s` finished", cause)
        ending.set()

    loop = asyncio.get_running_loop()
    for number, watcher in ((signal.SIGTERM, "sigterm_watcher"), (signal.SIGINT, "sigint_watcher")):
        loop.add_signal_handler(number, end, watcher)

    def shut_down() -> None:
        loop.call_soon(end, "rest")  # once the request is answered

    context = Context(shut_down)
    server = HttpServer(Rest(context, {"v0": rest_v0.ROUTES, "v1": rest_v1.ROUTES}).answer)
    try:
        await _start_rest(server, settings)
        chain, services, key = await _unless(ending, _load(settings, store, context))
        await _work(settings, chain, services, key, ending)
    finally:
        await server.stop()
    _logger.info("Shutting down node")


async def _start_rest(server: HttpServer, settings: Settings) -> None:
    if settings.rest:
        try:
            await server.start(settings.rest)
        except OSError as error:
            raise _died(
                f"error binding to {settings.rest}: error creating server listener: {system_reason(error)}"
            ) from error


async def _load(settings: Settings, store: BlockStore, context: Context) -> tuple[Chain, Services, SigningKey | None]:
    """Load the chain and catch up with the peers; NodeError."""
    trusted = resolved(settings.p2p.trusted_peers)
    chain = await load_chain(settings, store, trusted)
    context.chain = chain
    _storage_logger.info("Loaded from storage tip is : %s", _described(chain.tip))
    peers = await catch_up(settings.p2p, trusted, chain)
    key = load_signing_key(settings.secret) if settings.secret else None
    parameters = chain.ledger.parameters
    if key and key.public_key not in parameters.leaders:
        _logger.warning(
            "node was started with a BFT secret key but the corresponding public key is not listed among "
            "consensus leaders"
        )
    now = utc_now()
    if now < parameters.clock.start:
        raise _died(f"TooEarlyForTimeFrame {{ time: {now.isoformat()} }}")
    stats = BlockStats(chain)
    mempool = Mempool(parameters, _open_received(settings), *settings.mempool[:2])
    services = Services(
        mempool=mempool,
        peers=Peers(settings.p2p, chain, mempool, stats, peers),
        leader_log=LeaderLog(settings.leader_log_entries),
        stats=stats,
    )
    context.services = services
    return chain, services, key


async def _work(
    settings: Settings, chain: Chain, services: Services, key: SigningKey | None, ending: asyncio.Event
) -> None:
    """Take part until *ending*; NodeError when a part of the node fails."""

    def follow(turn: Turn) -> None:
        tip = turn.blocks[-1][0]
        said = "switching branch from %s to %s" if turn.left else "updating current branch tip: %s -> %s"
        _tip_logger.info(said, _described(turn.ancestor), _described(tip))
        services.mempool.follow(turn)
        services.stats.follow(turn)

    chain.on_turn = follow
    parts: list[Coroutine[Any, Any, Any]] = [services.peers.run(), ending.wait()]
    if key:
        leader = Leader(key, chain, services.mempool, services.leader_log, services.peers.announce_block)
        parts.append(leader.run())
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _unless(ending: asyncio.Event, work: Coroutine[Any, Any, Any]) -> Any:
    """What *work* gives; InterruptedStartError when the node is to end first."""
    task, end = asyncio.create_task(work), asyncio.create_task(ending.wait())
    try:
        await asyncio.wait({task, end}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise InterruptedStartError
        return task.result()
    finally:
        for each in (task, end):
            each.cancel()
        await asyncio.gather(task, end, return_exceptions=True)


def _open_received(settings: Settings) -> ReceivedLog | None:
    directory = settings.mempool.persistent_log
    if directory is None:
        return None
    try:
        return ReceivedLog(directory, utc_now())
    except OSError as error:
        raise _died(f"failed to open persistent log file: {system_reason(error)}") from error


def _died(cause: str) -> NodeError:
    return NodeError(ExitCode.SERVICE, "A service has terminated with an error", cause)


def _described(header: BlockHeader) -> str:
    return f"{header.id[:8]}-{header.height:08x}-{header.date}"
