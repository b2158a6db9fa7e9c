"""The engine: one mailbox, one task at a time, and the only place where a phase changes.

It looks at the world, asks :func:`~node_fsm.core.decide.decide`, moves when there is an event, and otherwise lets
the phase's work go on. Signals only make it look again. Nothing is restored at start-up: the first phase is Waiting,
and what is published says where to go on.
"""

import asyncio
from datetime import datetime, timedelta

from loguru import logger

from node_fsm.core.backoff import Backoff
from node_fsm.core.chain_time import BlockDate
from node_fsm.core.conditions import Condition, ConditionType
from node_fsm.core.decide import decide, next_deadline
from node_fsm.core.errors import PermanentError, ServiceError, TemporaryError
from node_fsm.core.machine import PhaseMachine
from node_fsm.core.model import JournalEntry, NodeReport, Overview
from node_fsm.core.observe import observations
from node_fsm.core.phases import NODE_MUST_RUN, Phase
from node_fsm.core.view import UNKNOWN, Deadline, Decision, View
from node_fsm.engine.reporter import Reporter
from node_fsm.engine.status import ServiceStatus
from node_fsm.log import bind_context
from node_fsm.steps.context import Context
from states.base import PhaseState

OVERVIEW_SECONDS = 10.0
DATABASE_RETRY_SECONDS = 5.0
RETRY = Backoff(first=1.0, longest=60.0)


class Engine:
    """Runs one node through its phases for ever."""

    def __init__(
        self,
        ctx: Context,
        machine: PhaseMachine[PhaseState],
        rescan_seconds: float,
        advertise: str,
    ) -> None:
        self.ctx = ctx
        self.machine = machine
        self.reporter = Reporter(ctx.database, self.report, advertise)
        self.since = ctx.clock.now()
        self.deadline: Deadline | None = None
        self.last_tick = ctx.clock.monotonic()
        self._rescan_seconds = rescan_seconds
        self._next_scan = 0.0
        self._overview: Overview | None = None
        self._task: asyncio.Task[Decision] | None = None
        self._entered = ctx.clock.monotonic()
        self._failure: ServiceError | None = None
        self._failures = 0
        self._retry_at = 0.0
        self._node_starts = 0
        self._answering_start = 0
        self._tip_reported: str | None = None
        self._generation: int | None = None
        ctx.conditions.listeners.append(self._condition_changed)

    async def run(self) -> None:
        """Go through the phases until cancelled; then the phase's work is cancelled too, and the node stopped."""
        self.ctx.metrics.entered(self.ctx.phase, self.since)
        bind_context(phase=str(self.ctx.phase), election=None)
        try:
            while True:
                await self._step()
        finally:
            await self._end_task()
            await self.ctx.node.stop()

    async def _step(self) -> None:
        """Look once, and do the one thing that this look calls for."""
        if self.ctx.progressed:
            self.ctx.progressed = False
            self._succeeded()
        self.last_tick = self.ctx.clock.monotonic()
        self.ctx.metrics.ticked(self.ctx.clock.now())
        view = await self._look()
        now = self.ctx.clock.now()
        self.deadline = next_deadline(self.ctx.phase, self.ctx.work, view, now, self.ctx.policy)
        self.ctx.metrics.deadline(self.deadline)
        if decision := decide(self.ctx.phase, self.ctx.work, view, now, self.ctx.policy):
            await self._move(decision)
        elif self._task is None and self.ctx.clock.monotonic() >= self._retry_at:
            self._start_task()
        elif self._task and self._task.done():
            await self._finish(self._task)
        else:
            await self._wait(now)

    async def _look(self) -> View:
        """Read the world; the database only when a signal says that it may have changed, or a scan is due."""
        if self.ctx.mailbox.take_database_change() or self.ctx.clock.monotonic() >= self._next_scan:
            self._next_scan = self.ctx.clock.monotonic() + self._rescan_seconds
            await self._read_database()
        view = View(
            overview=self._overview or UNKNOWN,
            local=self.ctx.workspace.chains(),
            slot_duration=self._read_slot_duration() or UNKNOWN,
            generation=self.ctx.lease.generation if self.ctx.lease else None,
            tip=self._tip() or UNKNOWN,
            failure=self._failure,
        )
        self.ctx.view = view
        if view.generation != self._generation:
            self._generation = view.generation
            self._retry_at = 0.0  # work that failed for want of the lease goes on
        self._measure_node()
        seen = observations(self.ctx.phase, self.ctx.work, view, self.ctx.clock.now(), self.ctx.policy)
        for condition, problem in seen.items():
            self.ctx.conditions.set(condition, problem)
        self.ctx.looked.beat()
        return view

    async def _read_database(self) -> None:
        hashes = {chain.block0_hash for chain in self.ctx.workspace.chains() if chain.block0_hash}
        if self.ctx.work and self.ctx.work.block0:
            hashes.add(self.ctx.work.block0.hash)
        before = self._overview
        try:
            async with asyncio.timeout(OVERVIEW_SECONDS):
                self._overview = await self.ctx.database.overview(hashes)
        except (ServiceError, TimeoutError) as error:
            self._overview = None
            reason, message = (
                (error.reason, error.message)
                if isinstance(error, ServiceError)
                else ("DatabaseSlow", f"the database did not answer within {OVERVIEW_SECONDS:g} s")
            )
            self.ctx.conditions.raise_(ConditionType.DATABASE_UNAVAILABLE, reason, message)
            self._next_scan = self.ctx.clock.monotonic() + min(DATABASE_RETRY_SECONDS, self._rescan_seconds)
            return
        self.ctx.conditions.clear(ConditionType.DATABASE_UNAVAILABLE)
        own = self._overview.node(self.ctx.settings.hostname)
        if own and own.p2p_address != self.reporter.advertise:
            self.reporter.status_changed()  # the row is new: others wait for the address
        self.ctx.metrics.clock_offset((self.ctx.clock.now() - self._overview.database_time).total_seconds())
        if isinstance(self._failure, PermanentError) and _specified(before) != _specified(self._overview):
            self._retry_at = 0.0  # what a person had to mend may be mended now

    def _read_slot_duration(self) -> int | None:
        try:
            duration = self.ctx.template().slot_duration
        except PermanentError as error:
            self.ctx.conditions.raise_(ConditionType.TEMPLATE_INVALID, error.reason, error.message)
            return None
        self.ctx.conditions.clear(ConditionType.TEMPLATE_INVALID)
        return duration

    def _measure_node(self) -> None:
        node = self.ctx.node.state
        self.ctx.metrics.node_up(node.running)
        if node.starts > self._node_starts > 0 and self.ctx.phase in NODE_MUST_RUN:
            self.ctx.metrics.node_restarted()
        self._node_starts = node.starts
        if node.running and node.starts != self._answering_start:
            self._answering_start = node.starts
            self._retry_at = 0.0  # work that failed for want of the node goes on: votes that it lost may expire
        if node.height is not None and node.last_block_time:
            self.ctx.metrics.chain_advanced(node.height, node.last_block_time)
        if node.tip != self._tip_reported:
            self._tip_reported = node.tip
            self.reporter.status_changed()  # others compare their tips with it, its height says who may be the seed

    def _tip(self) -> BlockDate | None:
        """The date of the newest block that the node told of, if it runs the chain in work."""
        node, work = self.ctx.node.state, self.ctx.work
        if self.ctx.phase in NODE_MUST_RUN and work and work.block0 and work.block0.hash == node.block0_hash:
            return node.tip_date
        return None

    async def _move(self, decision: Decision) -> None:
        """Fire the decided event: end the phase's work, enter the next phase, tell everybody."""
        await self._end_task()
        ctx = self.ctx
        source, work, now = ctx.phase, decision.work or ctx.work, ctx.clock.now()
        over = self.machine.state.conditions
        target = self.machine.fire(decision.event)
        for condition in over - self.machine.state.conditions:
            ctx.conditions.clear(condition)
        logger.info("{} -> {} on {}: {}", source, target, decision.event, decision.why)
        self.ctx.metrics.transition(source, decision.event, target, self.ctx.clock.monotonic() - self._entered)
        self.ctx.metrics.entered(target, now)
        self.reporter.journal(
            JournalEntry(
                hostname=ctx.settings.hostname,
                election_id=work.election_id if work else None,
                election_name=work.election_name if work else None,
                source=source,
                event=decision.event,
                target=target,
                at=now,
                reason=decision.why,
            )
        )
        ctx.phase, ctx.work = target, None if target is Phase.WAITING else work
        if ctx.work and ctx.work.block0:
            ctx.metrics.block0_size(ctx.work.block0.size)
        self.since, self._entered = now, self.ctx.clock.monotonic()
        bind_context(phase=str(target), election=ctx.work.election_name if ctx.work else None)
        self._succeeded()
        if target not in NODE_MUST_RUN:
            await ctx.node.stop()
        ctx.mailbox.database_changed()

    def _start_task(self) -> None:
        state: PhaseState = self.machine.state
        self._task = asyncio.create_task(state.run(self.ctx), name=state.name)
        self._task.add_done_callback(lambda _: self.ctx.mailbox.look_again())

    async def _finish(self, task: asyncio.Task[Decision]) -> None:
        """The phase's work has ended: move on with its event, or plan the next attempt."""
        self._task = None
        try:
            decision = await task
        except ServiceError as error:
            self._failed(error)
        except OSError as error:
            self._failed(TemporaryError("DiskUnusable", f"{error.strerror} ({error.filename or 'no file named'})"))
        except Exception as error:  # noqa: BLE001 - a defect in one phase must not end the service, nor go unseen
            logger.opt(exception=error).error("the work of {} ended unexpectedly", self.ctx.phase)
            self._failed(TemporaryError("UnexpectedError", f"{type(error).__name__}: {error}"))
        else:
            await self._move(decision)

    def _failed(self, error: ServiceError) -> None:
        """Keep the phase, say why, and try again: soon and then more slowly, or slowly when a person must act."""
        self._failures += 1
        delay = self._rescan_seconds
        if isinstance(error, TemporaryError):
            delay = RETRY.delay(self._failures)
        self._retry_at = self.ctx.clock.monotonic() + delay
        self._failure = error
        self.ctx.metrics.failure(self.ctx.phase, error.reason)
        self.ctx.conditions.raise_(ConditionType.WORK_FAILING, error.reason, error.message)
        logger.debug("{} tries again in {:.1f} s: {}", self.ctx.phase, delay, error)

    def _succeeded(self) -> None:
        self._failure, self._failures, self._retry_at = None, 0, 0.0
        self.ctx.conditions.clear(ConditionType.WORK_FAILING)

    async def _end_task(self) -> None:
        """Cancel the phase's work and wait for it: its threads and commands end by their own deadlines."""
        if self._task is None:
            return
        task, self._task = self._task, None
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()):
            logger.debug("the cancelled work of {} ended with {!r}", self.ctx.phase, error)

    async def _wait(self, now: datetime) -> None:
        """Wait for a signal, the next scan, the next attempt, or the next deadline."""
        pauses = [self._next_scan - self.ctx.clock.monotonic()]
        if self._task is None:
            pauses.append(self._retry_at - self.ctx.clock.monotonic())
        if self.deadline and self.deadline.at >= now:
            pauses.append((self.deadline.at - now + timedelta(milliseconds=1)).total_seconds())
        await self.ctx.mailbox.wait(min(pauses))

    def _condition_changed(self, type_: ConditionType, condition: Condition | None) -> None:
        if condition:
            logger.warning("condition {} ({}): {}", type_, condition.reason, condition.message)
        else:
            logger.info("condition {} is over", type_)
        self.ctx.metrics.condition_changed(type_, held=condition is not None)
        self.reporter.status_changed()

    def status(self) -> ServiceStatus:
        """The present state, for the sidecar."""
        ctx, node = self.ctx, self.ctx.node.state
        problem = node.problem or ("NodeNotRunning", "the node is not running yet")
        return ServiceStatus(
            phase=ctx.phase,
            since=self.since,
            role=ctx.policy.role,
            hostname=ctx.settings.hostname,
            election=ctx.work.election_name if ctx.work else None,
            block0_hash=ctx.work.block0.hash if ctx.work and ctx.work.block0 else None,
            next_deadline=self.deadline,
            conditions=tuple(ctx.conditions),
            last_error=str(self._failure) if self._failure else None,
            last_tick=self.last_tick,
            node_problems=() if node.running else (problem[1],),
        )

    def report(self) -> NodeReport:
        """This node's line in the cluster's status."""
        ctx, node = self.ctx, self.ctx.node.state
        block0 = ctx.work.block0 if ctx.work else None
        up = node.running
        return NodeReport(
            hostname=ctx.settings.hostname,
            phase=ctx.phase,
            since=self.since,
            election_id=ctx.work.election_id if ctx.work else None,
            block0_hash=block0.hash if block0 else None,
            height=node.height if up else None,
            tip=node.tip if up else None,
            tip_date=str(node.tip_date) if up and node.tip_date else None,
            peers=node.peers_connected,
            conditions=tuple(condition.type for condition in ctx.conditions),
            version=ctx.settings.service_version,
            updated_at=ctx.clock.now(),
            holds_chain=up and block0 is not None and block0.hash == node.block0_hash and ctx.chain().is_held,
        )


def _specified(overview: Overview | None) -> object:
    """The part of the database whose change may mend what a person had to mend."""
    if overview is None:
        return None
    return tuple((election.id, election.revision) for election in overview.elections), overview.nodes
