"""The supervisor of the one node process: it keeps the wanted node running and says how it is.

It is level-triggered: :meth:`NodeSupervisor.require` and :meth:`NodeSupervisor.stop` say what is wanted, and a task
brings it about.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from loguru import logger

from node_fsm.aio.threads import to_the_end
from node_fsm.core.chain_time import ChainClock
from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.core.secret import Secret
from node_fsm.node.config import REST_SETTING, NodeConfig, rest_url
from node_fsm.node.exit import Exit, Remedy, explain
from node_fsm.node.process import Launch, NodeProcess
from node_fsm.node.rest import BOOTSTRAPPING, RECORDS, NodeRest
from node_fsm.node.status import NodeLimits, NodeSettings
from node_fsm.node.vitals import Vitals, start_delay
from node_fsm.ports import ChainRun, Clock, MachineClock, NodeStatus, Problem, ProcessPhase
from node_fsm.programs.command import run_command

WIRING_CHANGED = "WiringChanged"
"""Why the service itself ends a node on the chain that it wants; every other end is the node's own."""

_HEALTH_TIMEOUT = 5.0
_VERSION_TIMEOUT = 30.0
_CLOCK_LOOK = 5.0
"""Seconds after which the wall clock is read again while the chain's start is awaited: it may be set meanwhile."""


class NodeSupervisor:
    """Owns the one node process. *on_change* is called, synchronously, whenever :attr:`state` has changed."""

    def __init__(
        self,
        settings: NodeSettings,
        on_change: Callable[[], None],
        *,
        clock: Clock = MachineClock(),  # noqa: B008 - immutable
        limits: NodeLimits = NodeLimits(),  # noqa: B008 - immutable
    ) -> None:
        self._settings = settings
        self._on_change = on_change
        self._clock = clock
        self._limits = limits
        self._state = NodeStatus(ProcessPhase.STOPPED, clock.now())
        self._changed = asyncio.Event()
        self._run: ChainRun | None = None
        self._run_changed = asyncio.Event()
        self._wanted = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None
        self._overtaken = False
        self._health = NodeRest(rest_url(settings.rest), _HEALTH_TIMEOUT)
        self._api = NodeRest(rest_url(settings.rest))

    @property
    def state(self) -> NodeStatus:
        """How the node is now."""
        return self._state

    @property
    def api(self) -> NodeRest:
        """The node's REST interface; of use once the node is :meth:`ready`."""
        return self._api

    def require(self, run: ChainRun) -> None:
        """Say which chain must run; may be said again at any time.

        A node of another chain is stopped first. Whatever else differs counts from the next start on, and cuts the
        delay before it short.
        """
        if self._keeping and self._run and self._run.block0_hash != run.block0_hash:
            self._keeping.cancel()
        if self._run != run:
            self._run_changed.set()
        self._run = run
        self._wanted.set()

    def overtaken(self, by_others: bool) -> None:
        """Say whether other nodes have blocks of the chain that this one lacks: a standstill is then its own fault."""
        self._overtaken = by_others

    async def ready(self, timeout: float) -> None:
        """Wait until the required chain runs; TemporaryError ``NodeNotReady`` after *timeout* seconds, saying why."""
        try:
            async with asyncio.timeout(timeout):
                while not (self._state.running and self._state.block0_hash == self._required.block0_hash):
                    await self._changed.wait()
        except TimeoutError as error:
            why = f": {self._state.problem.message}" if self._state.problem else ""
            raise TemporaryError("NodeNotReady", f"the node is {self._state.phase} after {timeout:g} s{why}") from error

    async def stop(self) -> None:
        """Say that no node is wanted, and wait until nothing of it is left."""
        self._wanted.clear()
        self._overtaken = False
        if self._keeping:
            self._keeping.cancel()
        while self._state.phase is not ProcessPhase.STOPPED:
            await self._changed.wait()

    async def records(self) -> dict[str, bytes]:
        """What the node says at the end of an election, by file name, each answer as it printed it."""
        return {name: await self._api.record(path) for name, path in RECORDS.items()}

    async def version(self) -> str:
        """The executable's full version; raises as :func:`~node_fsm.programs.command.run_command` does."""
        argv = [self._settings.executable, "--full-version"]
        completed = await run_command(argv, setting="NODE_FSM_JORM_PATH", timeout=_VERSION_TIMEOUT)
        return completed.stdout.decode(errors="replace").strip()

    async def run(self) -> None:
        """Keep what is wanted running, until cancelled; the node is stopped then, and :attr:`api` closed."""
        async with self._health, self._api:
            while True:
                while not self._wanted.is_set():  # it may be cleared again before this task has its turn
                    await self._wanted.wait()
                self._keeping = asyncio.create_task(self._keep_running())
                try:
                    await asyncio.wait({self._keeping})
                finally:
                    self._keeping.cancel()
                    await to_the_end(self._keeping)
                    self._set(
                        NodeStatus(ProcessPhase.STOPPED, self._clock.now(), self._state.starts, self._state.restarts)
                    )
                if not self._keeping.cancelled():
                    self._keeping.result()  # it ends otherwise only by an error of this program

    async def _keep_running(self) -> None:
        """Start the wanted node, and start it again whenever it ends, until cancelled."""
        vitals = Vitals(self._limits, self._required.clock.slot_duration)
        keys = _LastKnownKey()
        failures, has_ended = 0, False
        while True:
            run = self._required
            self._run_changed.clear()
            vitals.starting()
            self._publish(phase=ProcessPhase.STARTING, block0_hash=run.block0_hash)
            try:
                await self._until(run.clock.start)
                key = await keys.ask(run)
                self._check_wiring(run)
                process = await NodeProcess.start(self._launch(run), key)
                restarts = self._state.restarts + has_ended
                self._publish(pid=process.pid, starts=self._state.starts + 1, restarts=restarts)
                has_ended = False
                end = await self._follow(process, run, vitals)
                has_ended = end.reason != WIRING_CHANGED
            except PermanentError as error:
                end = Exit(Remedy.REPAIR, error.reason, error.message)
            except TemporaryError as error:
                end = Exit(Remedy.RESTART, error.reason, error.message)
            except OSError as error:
                end = Exit(Remedy.RESTART, "SystemRefused", f"the system refuses what a start needs: {error}")
            failures = 1 if vitals.steady(self._clock.monotonic()) else failures + 1
            await self._pause(end, start_delay(self._limits, end.remedy, failures))

    def _check_wiring(self, run: ChainRun) -> None:
        """Only the seed may go on without others, and only with the blocks that it had: else it makes another chain."""
        if not run.peers and not run.seed:
            raise TemporaryError(
                "NodeWithoutPeers",
                "the node needs another leader to get the chain from: jorm_nodes has no p2p_address of one yet",
            )
        if run.seed and (run.held or self._state.height) and not run.directory.is_held:
            raise PermanentError(
                "StorageLost",
                f"this node had blocks of the chain {run.block0_hash}, and its storage is gone; it is not started"
                " before it is known who else has the chain",
            )

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
                trusted_peers=run.peers,
                seed=run.seed,
            ),
            config_file=directory.node_config,
            block0_file=directory.block0,
            block0_hash=run.block0_hash,
            stop_grace=settings.stop_grace,
        )

    async def _follow(self, process: NodeProcess, run: ChainRun, vitals: Vitals) -> Exit:
        """Follow a started node until it must be started anew, and end it; says why."""
        vitals.answered(self._clock.monotonic())
        exiting = asyncio.create_task(process.wait())
        try:
            while not exiting.done():
                await self._look(run, vitals)
                if self._state.phase is ProcessPhase.BOOTSTRAPPING and self._required != run:
                    return Exit(Remedy.RESTART, WIRING_CHANGED, "it waits for peers with an outdated configuration")
                if end := vitals.given_up(self._clock.monotonic(), own_fault=not run.peers or self._overtaken):
                    return end
                await asyncio.wait({exiting}, timeout=self._poll_interval(run.clock))
            return explain(exiting.result(), process.stderr)
        finally:
            exiting.cancel()
            await to_the_end(asyncio.create_task(process.stop()))

    async def _look(self, run: ChainRun, vitals: Vitals) -> None:
        """Ask the node how it is; PermanentError when it runs another chain."""
        try:
            stats = await self._health.stats()
            if not self._state.running:
                await self._check_chain(run.block0_hash)
        except TemporaryError as error:
            if error.reason == BOOTSTRAPPING:
                vitals.answered(self._clock.monotonic())
                self._bootstrapping()
            else:
                logger.debug("the node does not run yet, or no more: {}", error)
            return
        now = self._clock.monotonic()
        vitals.running(stats.tip, now)
        if stats.height:
            run.directory.mark_held()
        idle = vitals.stalled(now)
        stalled_since = None
        if idle is not None:
            stalled_since = self._state.stalled_since or self._clock.now() - timedelta(seconds=idle)
        self._publish(
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
        self._publish(phase=ProcessPhase.BOOTSTRAPPING)
        waiting = (self._clock.now() - self._state.since).total_seconds()
        if waiting >= self._limits.bootstrap:
            self._publish(
                problem=Problem(
                    "NodeBootstraps",
                    f"the node has been loading its chain, or waiting for a peer that has it, since"
                    f" {self._state.since.isoformat()}; check that the leader that holds most of it (table chain_copy)"
                    " runs and is reached from here",
                )
            )

    async def _check_chain(self, block0_hash: str) -> None:
        settings = await self._health.settings()
        if settings.block0_hash != block0_hash:
            listen = self._settings.rest
            raise PermanentError(
                "WrongChain",
                f"the node at {listen} runs the chain of block 0 {settings.block0_hash}, not {block0_hash}; "
                f"stop the other node or change {REST_SETTING}",
            )

    async def _until(self, start: datetime) -> None:
        """Wait until the chain begins: a node started earlier gives up at once."""
        while (seconds := (start - self._clock.now()).total_seconds()) > 0:  # noqa: ASYNC110 - the clock may be set meanwhile
            await asyncio.sleep(min(seconds, _CLOCK_LOOK))

    async def _pause(self, end: Exit, delay: float) -> None:
        """Say what happened, and wait before the next start, unless what is required changed since the last one."""
        self._publish(phase=ProcessPhase.FAILED, pid=None, peers_connected=0, problem=Problem(end.reason, end.message))
        logger.warning("{}: {}; it is started again in {:.1f} s", end.reason, end.message, delay)
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._run_changed.wait()

    def _poll_interval(self, clock: ChainClock) -> float:
        if not self._state.running:
            return self._limits.start_poll
        return min(max(clock.slot_duration, self._limits.shortest_poll), self._limits.longest_poll)

    @property
    def _required(self) -> ChainRun:
        if self._run is None:
            raise RuntimeError("no chain was ever required")
        return self._run

    def _publish(self, **changes: Any) -> None:
        """Change these fields of the status."""
        status = replace(self._state, **changes)
        if status.phase is not self._state.phase:
            status = replace(status, since=self._clock.now())
            logger.info("node process: {}", status.phase)
        self._set(status)

    def _set(self, status: NodeStatus) -> None:
        if status != self._state:
            self._state = status
            self._changed.set()
            self._changed = asyncio.Event()
            self._on_change()


class _LastKnownKey:
    """The signing key as last fetched, for starts while it cannot be fetched."""

    def __init__(self) -> None:
        self._known: tuple[Secret | None] | None = None

    async def ask(self, run: ChainRun) -> Secret | None:
        """The key now, or the last known; TemporaryError when there is neither."""
        try:
            self._known = (await run.secret(),)
        except TemporaryError as error:
            if self._known is None:
                raise
            logger.warning("the signing key cannot be fetched, the last known one is used: {}", error)
        return self._known[0]
