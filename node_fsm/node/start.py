"""One start of the node: the key for it, what must be so before it, and what it is started with."""

from loguru import logger

from node_fsm.aio.threads import DISK, in_thread
from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.core.secret import Secret
from node_fsm.node.config import NodeConfig
from node_fsm.node.limits import NodeSettings
from node_fsm.node.process import Launch, NodeProcess
from node_fsm.ports import ChainRun


class Starter:
    """Starts nodes of one chain, one after the other."""

    def __init__(self, settings: NodeSettings) -> None:
        self._settings = settings
        self._key: tuple[Secret | None] | None = None
        """The signing key as last fetched, for starts while it cannot be fetched."""

    async def start(self, run: ChainRun, *, had_blocks: bool) -> NodeProcess:
        """Start a node; *had_blocks* says whether an earlier one told of blocks after block 0.

        Raises TemporaryError or PermanentError, and OSError when the system refuses what a start needs.
        """
        key = await self._ask_key(run)
        await _check_wiring(run, had_blocks=had_blocks)
        return await NodeProcess.start(self._launch(run), key)

    async def _ask_key(self, run: ChainRun) -> Secret | None:
        """The key now, or the last known; TemporaryError when there is neither."""
        try:
            self._key = (await run.secret(),)
        except TemporaryError as error:
            if self._key is None:
                raise
            logger.warning("the signing key cannot be fetched, the last known one is used: {}", error)
        return self._key[0]

    def _launch(self, run: ChainRun) -> Launch:
        settings, directory = self._settings, run.directory
        return Launch(
            executable=settings.executable,
            config=NodeConfig(
                rest=settings.rest,
                p2p=settings.p2p,
                public_address=settings.public_address,
                storage=directory.storage,
                fragment_log=directory.fragments,
                slot_duration=run.clock.slot_duration,
                trusted_peers=run.peers,
                seed=run.seed,
            ),
            config_file=directory.node_config,
            block0_file=directory.block0,
            block0_hash=run.block0_hash,
            stop_grace=settings.stop_grace,
        )


async def _check_wiring(run: ChainRun, *, had_blocks: bool) -> None:
    """Only the seed may go on without others, and only with the blocks that it had: else it makes another chain."""
    if not run.peers and not run.seed:
        raise TemporaryError(
            "NodeWithoutPeers",
            "the node needs another leader to get the chain from: jorm_nodes has no p2p_address of one yet",
        )
    if run.seed and (run.held or had_blocks) and not await in_thread(DISK, lambda: run.directory.is_held):
        raise PermanentError(
            "StorageLost",
            f"this node had blocks of the chain {run.block0_hash}, and its storage is gone; it is not started"
            " before it is known who else has the chain",
        )
