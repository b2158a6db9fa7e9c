"""How the node is wired to the chain in work: its peers, whether it goes on alone, and the key for each start."""

import shutil
from collections.abc import Collection, Sequence

from loguru import logger

from node_fsm.aio.threads import DISK, LONG, in_thread
from node_fsm.core.cluster import ChainCopy
from node_fsm.core.conditions import ConditionType
from node_fsm.core.errors import PermanentError, ServiceError, TemporaryError
from node_fsm.core.model import NodeRow
from node_fsm.core.phases import Role
from node_fsm.core.secret import Secret
from node_fsm.core.view import UNKNOWN
from node_fsm.ports import ChainRun
from node_fsm.steps.context import Context
from node_fsm.steps.signing_key import fetch_signing_key
from node_fsm.storage.files import move
from node_fsm.storage.workspace import ChainDirectory

STORAGE_DAMAGED = "StorageDamaged"
STORAGE_LOST = "StorageLost"


async def require_node(ctx: Context, chain: ChainDirectory, leaders: Collection[str]) -> None:
    """Have the supervisor run the node on *chain*, wired to the other *leaders* of block 0.

    A node that it keeps on this chain already goes on as it is wired while the database or the lease is away.
    """
    state = ctx.node.state
    try:
        run = await _chain_run(ctx, chain, leaders)
    except ServiceError as error:
        is_kept = state.block0_hash == ctx.block0_in_work().hash
        if not (is_kept and (state.running or isinstance(error, TemporaryError))):
            raise
        logger.debug("the node goes on as it is wired: {}", error)
        return
    ctx.node.require(run)


async def rewire(ctx: Context, chain: ChainDirectory, leaders: Collection[str]) -> None:
    """Decide anew for a node that does not run: peers may have come, the seed have changed, its store be damaged."""
    state = ctx.node.state
    if state.problem and state.problem[0] == STORAGE_DAMAGED and state.pid is None:
        await _give_up_storage(ctx, chain)
    await require_node(ctx, chain, leaders)


async def _give_up_storage(ctx: Context, chain: ChainDirectory) -> None:
    """Move a store that the node calls damaged out of its way, if nothing of the chain is lost with it.

    That is so where another leader has the chain to copy it from, and where no block after block 0 ever came into it.
    Of stores of the second kind the last is kept: a disk that damages one after the other must not be filled with them.
    """
    if await in_thread(DISK, lambda: chain.is_held):
        copies = await ctx.database.chain_copies(ctx.block0_in_work().hash)
        if all(copy.hostname == ctx.settings.hostname for copy in _held(copies)):
            return
        kept = chain.path / f"storage-damaged-{ctx.clock.now():%Y%m%dT%H%M%SZ}"
    else:
        kept = chain.path / "storage-damaged"
        await in_thread(LONG, shutil.rmtree, kept, ignore_errors=True)
    await in_thread(DISK, move, chain.storage, kept)
    logger.warning("the damaged store was moved to {}; the node makes another one", kept)


async def _chain_run(ctx: Context, chain: ChainDirectory, leaders: Collection[str]) -> ChainRun:
    overview = ctx.known_overview()
    block0 = ctx.block0_in_work()
    if ctx.policy.role is Role.LEADER0:
        ctx.publishing_lease()  # two nodes with leader 0's key must never run
    seed = await _is_seed(ctx, chain)
    return ChainRun(
        directory=chain,
        block0_hash=block0.hash,
        clock=block0.dates.clock,
        peers=peers_of(overview.nodes, ctx.settings.hostname),
        seed=seed,
        secret=lambda: _secret(ctx, leaders),
        held=await in_thread(DISK, lambda: chain.is_held),
    )


def peers_of(nodes: Sequence[NodeRow], hostname: str) -> tuple[str, ...]:
    """The multiaddrs of the other leaders, as far as they are known, in the order of hostnames.

    Whoever is a leader now counts, also one whose key is not in block 0: it has the chain all the same, and may be
    the one that holds most of it.
    """
    return tuple(
        node.p2p_address
        for node in sorted(nodes, key=lambda node: node.hostname)
        if node.hostname != hostname and node.leader_id and node.p2p_address
    )


def is_seed(role: Role, hostname: str, copies: Collection[ChainCopy]) -> bool:
    """Whether this node goes on by itself when it reaches no other leader; at most one node of a chain does.

    Leader 0 at a chain's first start; afterwards who holds most of the chain, so that a chain with votes in it is
    never begun anew by a node that lost its storage.
    """
    if not _has_begun(copies):
        return role is Role.LEADER0
    most = min(_held(copies), key=lambda copy: (-copy.height, copy.hostname), default=None)
    return most is not None and most.hostname == hostname


async def _is_seed(ctx: Context, chain: ChainDirectory) -> bool:
    """Whether this node is the seed, by what is recorded; before that, what its disk lost or got back is recorded."""
    block0_hash, hostname, role = ctx.block0_in_work().hash, ctx.settings.hostname, ctx.policy.role
    copies = await ctx.database.chain_copies(block0_hash)
    own = next((copy for copy in copies if copy.hostname == hostname and copy.height > 0), None)
    is_held = await in_thread(DISK, lambda: chain.is_held)
    if is_held if own is None else own.lost is is_held:
        logger.warning("the chain {} is {} this machine", block0_hash, "back on" if is_held else "gone from")
        await ctx.database.save_chain_copy(block0_hash, hostname, lost=not is_held)
        copies = await ctx.database.chain_copies(block0_hash)
    if role is Role.LEADER0 and _has_begun(copies) and not _held(copies):
        raise PermanentError(
            STORAGE_LOST,
            f"the chain {block0_hash} had height {max(copy.height for copy in copies)}, but its storage is neither on"
            " this machine nor on another leader's: started alone, this node would begin the chain anew without its"
            " votes; bring NODE_FSM_STORAGE_DIR back, or start a leader that has the chain",
        )
    return is_seed(role, hostname, copies)


def _held(copies: Collection[ChainCopy]) -> list[ChainCopy]:
    """The leaders' copies with blocks after block 0 in them."""
    return [copy for copy in copies if copy.is_leader and copy.height > 0 and not copy.lost]


def _has_begun(copies: Collection[ChainCopy]) -> bool:
    return any(copy.height > 0 for copy in copies)


async def _secret(ctx: Context, leaders: Collection[str]) -> Secret | None:
    """The key for one start of the node: the one in S3 if it is a leader's of this chain, else the one in memory."""
    overview = ctx.overview()
    node = None if overview is UNKNOWN else overview.node(ctx.settings.hostname)
    if ctx.signing_key is None or node is None or ctx.settings.signing_key_uri is None:
        return ctx.signing_key
    try:
        key = await fetch_signing_key(ctx.store, ctx.jcli, ctx.settings.signing_key_uri, node)
    except ServiceError as error:
        logger.warning("the key could not be read anew, the node starts with the one in memory: {}", error)
        key = ctx.signing_key
    if node.leader_id not in leaders:
        ctx.conditions.raise_(
            ConditionType.KEY_NOT_IN_CHAIN,
            "LeaderIdNotInBlock0",
            f"jorm_nodes.leader_id of {node.hostname} is not among the leaders of the running chain; it takes effect"
            " at the next election, until then the node makes no blocks",
        )
        if await ctx.jcli.public_key(ctx.signing_key) in leaders:
            return ctx.signing_key
    else:
        ctx.conditions.clear(ConditionType.KEY_NOT_IN_CHAIN)
        ctx.signing_key = key
    return key
