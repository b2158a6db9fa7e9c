"""The supervisor of the one node process: it keeps the wanted node running and says how it is.

It is level-triggered: :meth:`NodeSupervisor.require` and :meth:`NodeSupervisor.stop` say what is wanted, and a task
brings it about.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from loguru import logger

from node_fsm.aio.threads import to_the_end
from node_fsm.core.errors import PermanentError, ServiceError, TemporaryError, UnexpectedError, as_service_error
from node_fsm.node.board import NodeBoard
from node_fsm.node.config import P2P_SETTING, REST_SETTING, rest_url
from node_fsm.node.exit import Exit, Remedy, explain
from node_fsm.node.limits import NodeLimits, NodeSettings
from node_fsm.node.preflight import check_port
from node_fsm.node.process import NodeProcess
from node_fsm.node.rest import RECORDS, NodeRest
from node_fsm.node.start import Starter
from node_fsm.node.vitals import Vitals, start_delay
from node_fsm.node.watch import Watch
from node_fsm.ports import ChainRun, Clock, MachineClock, NodeStatus, Problem, ProcessPhase
from node_fsm.programs.command import run_command

WIRING_CHANGED = "WiringChanged"
VOTES_KEPT = "VotesKept"
"""Why the service itself ends a node on the chain that it wants; every other end is the node's own."""

_HEALTH_TIMEOUT = 5.0
_VERSION_TIMEOUT = 30.0
_CLOCK_LOOK = 5.0
"""Seconds after which the wall clock is read again while the chain's start is awaited: it may be set meanwhile."""


class NodeSupervisor:
    """Owns the one node process. *on_change* is called, synchronously, whenever :attr:`state` has changed.

    What a start needs is in :mod:`~node_fsm.node.start`, how a started node is in :mod:`~node_fsm.node.watch`.
    """

    def __init__(
        self,
        settings: NodeSettings,
        on_change: Callable[[], None],
        *,
        clock: Clock = MachineClock(),  # noqa: B008 - immutable
        limits: NodeLimits = NodeLimits(),  # noqa: B008 - immutable
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._limits = limits
        self._board = NodeBoard(on_change, clock)
        self._run: ChainRun | None = None
        self._run_changed = asyncio.Event()
        self._wanted = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None
        self._overtaken = False
        self._restart_for: str | None = None
        self._health = NodeRest(rest_url(settings.rest), _HEALTH_TIMEOUT)
        self._api = NodeRest(rest_url(settings.rest))

    @property
    def state(self) -> NodeStatus:
        """How the node is now."""
        return self._board.status

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
        """Say whether others go on without this node, or none is connected: a standstill is then its own fault."""
        self._overtaken = by_others

    def restart(self, why: str) -> None:
        """Have the node end and start anew, if it runs: what it holds in memory alone is then gone."""
        if self.state.running:
            self._restart_for = why

    async def ready(self, timeout: float) -> None:
        """Wait until the required chain runs; TemporaryError ``NodeNotReady`` after *timeout* seconds, saying why."""
        try:
            async with asyncio.timeout(timeout):
                while not (self.state.running and self.state.block0_hash == self._required.block0_hash):
                    await self._board.changed()
        except TimeoutError as error:
            why = f": {self.state.problem.message}" if self.state.problem else ""
            raise TemporaryError("NodeNotReady", f"the node is {self.state.phase} after {timeout:g} s{why}") from error

    async def stop(self) -> None:
        """Say that no node is wanted, and wait until nothing of it is left."""
        self._wanted.clear()
        self._overtaken = False
        if self._keeping:
            self._keeping.cancel()
        while self.state.phase is not ProcessPhase.STOPPED:
            await self._board.changed()

    async def check_ports(self) -> None:
        """Bind both ports and let them go, when no node runs; raises as :func:`~.preflight.check_port` does."""
        if self.state.phase is ProcessPhase.STOPPED:
            check_port(self._settings.rest, REST_SETTING)
            check_port(self._settings.p2p, P2P_SETTING)

    async def save_records(self, directory: Path) -> None:
        """Write what the node says at the end of an election into files of *directory*, one answer after the other."""
        for name, path in RECORDS.items():
            await self._api.save(path, directory / name)

    async def version(self) -> str:
        """The executable's full version; raises as :func:`~node_fsm.programs.command.run_command` does."""
        return await node_version(self._settings.executable)

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
                    self._board.stopped()
                if not self._keeping.cancelled():
                    self._keeping.result()  # it ends otherwise only by an error of this program

    async def _keep_running(self) -> None:
        """Start the wanted node, and start it again whenever it ends, until cancelled."""
        vitals = Vitals(self._limits, self._required.clock.slot_duration)
        starter = Starter(self._settings)
        failures, has_ended = 0, False
        while True:
            run = self._required
            self._run_changed.clear()
            vitals.starting()
            self._board.publish(phase=ProcessPhase.STARTING, block0_hash=run.block0_hash)
            try:
                await self._until(run.clock.start)
                process = await starter.start(run, had_blocks=bool(self.state.height))
                restarts = self.state.restarts + has_ended
                self._board.publish(pid=process.pid, starts=self.state.starts + 1, restarts=restarts)
                has_ended = False
                end = await self._follow(process, run, vitals)
                has_ended = end.reason not in {WIRING_CHANGED, VOTES_KEPT}
            except PermanentError as error:
                end = Exit(Remedy.REPAIR, error.reason, error.message)
            except TemporaryError as error:
                end = Exit(Remedy.RESTART, error.reason, error.message)
            except Exception as error:  # noqa: BLE001 - what one start ran into, the next may not
                problem = as_service_error(error, "the start of the node")
                if isinstance(problem, UnexpectedError):
                    logger.opt(exception=error).error("the start of the node ended unexpectedly")
                end = Exit(Remedy.RESTART, problem.reason, problem.message)
            failures = 1 if vitals.steady(self._clock.monotonic()) else failures + 1
            await self._pause(end, start_delay(self._limits, end.remedy, failures))

    async def _follow(self, process: NodeProcess, run: ChainRun, vitals: Vitals) -> Exit:
        """Follow a started node until it must be started anew, and end it; says why."""
        vitals.answered(self._clock.monotonic())
        watch = Watch(
            run, self._health, self._board, vitals, settings=self._settings, limits=self._limits, clock=self._clock
        )
        self._restart_for = None
        exiting = asyncio.create_task(process.wait())
        try:
            while not exiting.done():
                if why := self._asked_to_restart():
                    return Exit(Remedy.RESTART, VOTES_KEPT, why)
                await _look(watch)
                if self.state.phase is ProcessPhase.BOOTSTRAPPING and self._required != run:
                    return Exit(Remedy.RESTART, WIRING_CHANGED, "it waits for peers with an outdated configuration")
                if end := vitals.given_up(self._clock.monotonic(), own_fault=not run.peers or self._overtaken):
                    return end
                await asyncio.wait({exiting}, timeout=watch.interval)
            return explain(exiting.result(), process.stderr)
        finally:
            exiting.cancel()
            await to_the_end(asyncio.create_task(process.stop()))

    def _asked_to_restart(self) -> str | None:
        return self._restart_for

    async def _until(self, start: datetime) -> None:
        """Wait until the chain begins: a node started earlier gives up at once."""
        while (seconds := (start - self._clock.now()).total_seconds()) > 0:  # noqa: ASYNC110 - the clock may be set meanwhile
            await asyncio.sleep(min(seconds, _CLOCK_LOOK))

    async def _pause(self, end: Exit, delay: float) -> None:
        """Say what happened, and wait before the next start, unless what is required changed since the last one."""
        problem = Problem(end.reason, end.message)
        self._board.publish(phase=ProcessPhase.FAILED, pid=None, peers_connected=0, problem=problem)
        logger.warning("{}: {}; it is started again in {:.1f} s", end.reason, end.message, delay)
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._run_changed.wait()

    @property
    def _required(self) -> ChainRun:
        if self._run is None:
            raise RuntimeError("no chain was ever required")
        return self._run


async def node_version(executable: str) -> str:
    """The full version of the node's program; raises as :func:`~node_fsm.programs.command.run_command` does."""
    argv = [executable, "--full-version"]
    completed = await run_command(argv, setting="NODE_FSM_JORM_PATH", timeout=_VERSION_TIMEOUT)
    return completed.stdout.decode(errors="replace").strip()


async def _look(watch: Watch) -> None:
    """Have a look at the node, which does not end because one of ours does."""
    try:
        await watch.look()
    except ServiceError:
        raise
    except Exception as error:  # noqa: BLE001 - a defect of ours ends no node: silence for long does
        logger.opt(exception=error).error("a look at the node ended unexpectedly")
