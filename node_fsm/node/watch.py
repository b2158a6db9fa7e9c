"""Following a started node: it is asked how it is, and what it answers is written down."""

from datetime import timedelta

from loguru import logger

from node_fsm.aio.threads import DISK, in_thread
from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.node.board import NodeBoard
from node_fsm.node.config import REST_SETTING
from node_fsm.node.limits import NodeLimits, NodeSettings
from node_fsm.node.rest import BOOTSTRAPPING, NodeRest
from node_fsm.node.vitals import Vitals
from node_fsm.ports import ChainRun, Clock, Problem, ProcessPhase
from node_fsm.ports.answers import NodeStats
from node_fsm.storage.workspace import ChainDirectory


class Watch:
    """Asks one started node of *run*; *vitals* are kept over restarts."""

    def __init__(
        self,
        run: ChainRun,
        rest: NodeRest,
        board: NodeBoard,
        vitals: Vitals,
        *,
        settings: NodeSettings,
        limits: NodeLimits,
        clock: Clock,
    ) -> None:
        self._run = run
        self._rest = rest
        self._board = board
        self._vitals = vitals
        self._settings = settings
        self._limits = limits
        self._clock = clock
        self._marked = False

    async def look(self) -> None:
        """Ask once; PermanentError when the node runs another chain."""
        try:
            stats = await self._rest.stats()
            if not self._board.status.running:
                await self._check_chain()
        except TemporaryError as error:
            if error.reason == BOOTSTRAPPING:
                self._vitals.answered(self._clock.monotonic())
                self._bootstrapping()
            else:
                logger.debug("the node does not run yet, or no more: {}", error)
            return
        self._running(stats, self._clock.monotonic())
        if stats.height and not self._marked:
            await self._mark()

    @property
    def interval(self) -> float:
        """Seconds to the next look."""
        if not self._board.status.running:
            return self._limits.start_poll
        slot = self._run.clock.slot_duration
        return min(max(slot, self._limits.shortest_poll), self._limits.longest_poll)

    async def _mark(self) -> None:
        """Mark that the node's store has blocks; asked of the disk until it is so, and then no more."""
        try:
            self._marked = await in_thread(DISK, _mark, self._run.directory)
        except OSError as error:  # no reason to end a node that runs
            logger.warning("the node's store cannot be marked as one with blocks: {}", error)

    def _running(self, stats: NodeStats, monotonic: float) -> None:
        self._vitals.running(stats.tip, monotonic)
        idle = self._vitals.stalled(monotonic)
        stalled_since = None
        if idle is not None:
            stalled_since = self._board.status.stalled_since or self._clock.now() - timedelta(seconds=idle)
        self._board.publish(
            phase=ProcessPhase.RUNNING,
            version=stats.version,
            height=stats.height,
            tip=stats.tip,
            tip_date=stats.tip_date,
            last_block_time=stats.last_block_time,
            peers_connected=stats.peers_connected,
            stalled_since=stalled_since,
            problem=None,
        )

    def _bootstrapping(self) -> None:
        """It loads its chain, which may take minutes and is no problem, or waits for peers, which is one in the end."""
        self._board.publish(phase=ProcessPhase.BOOTSTRAPPING)
        since = self._board.status.since
        if (self._clock.now() - since).total_seconds() >= self._limits.bootstrap:
            self._board.publish(
                problem=Problem(
                    "NodeBootstraps",
                    f"the node has been loading its chain, or waiting for a peer that has it, since"
                    f" {since.isoformat()}; check that the leader that holds most of it (table chain_copy)"
                    " runs and is reached from here, and that its clock and this machine's are right (condition"
                    " clock_wrong): blocks of the future are no chain to begin with",
                )
            )

    async def _check_chain(self) -> None:
        settings = await self._rest.settings()
        if settings.block0_hash != self._run.block0_hash:
            raise PermanentError(
                "WrongChain",
                f"the node at {self._settings.rest} runs the chain of block 0 {settings.block0_hash}, not"
                f" {self._run.block0_hash}; stop the other node or change {REST_SETTING}",
            )


def _mark(directory: ChainDirectory) -> bool:
    directory.mark_held()
    return directory.is_held
