"""The engine: one mailbox, one task at a time, and the only place where a phase changes.

It looks at the world, asks :func:`~node_fsm.core.decide.decide`, moves when there is an event, and otherwise lets
the phase's task go on. Signals only make it look again. Nothing is restored at start-up: the first phase is Waiting,
and what is published says where to go on.
"""

import asyncio
from datetime import datetime, timedelta

from node_fsm.core.decide import deadlines_ahead, decide
from node_fsm.core.machine import PhaseMachine
from node_fsm.core.phases import NODE_MUST_RUN, Phase
from node_fsm.core.view import UNKNOWN, Decision, View
from node_fsm.engine.attempts import Attempts
from node_fsm.engine.faults import Faults, Unwritten
from node_fsm.engine.journal import Journal
from node_fsm.engine.look import Look
from node_fsm.engine.reporter import Reporter
from node_fsm.engine.status import StatusBoard
from node_fsm.engine.telemetry import Telemetry
from node_fsm.steps.context import Context
from states.base import PhaseState

LONGEST_PAUSE_SECONDS = 60.0
"""Between two looks: whoever asks whether the engine lives does not wait for a scan that is set to be rare."""


class Engine:
    """Runs one node through its phases for ever; no failure of a look or a move ends it, and with it the node."""

    def __init__(
        self,
        ctx: Context,
        machine: PhaseMachine[PhaseState],
        rescan_seconds: float,
        advertise: str,
    ) -> None:
        self._ctx = ctx
        self._machine = machine
        self._faults = Faults(ctx.conditions)
        self._look = Look(ctx, rescan_seconds, self._faults)
        self._attempts = Attempts(ctx, rescan_seconds)
        self.board = StatusBoard(ctx, self._attempts)
        self.unwritten = Unwritten(ctx.conditions)
        journal = Journal(ctx.database, ctx.workspace.root / "journal.json", self.unwritten)
        self.reporter = Reporter(ctx.database, self.board.report, advertise, journal, self.unwritten)
        self._telemetry = Telemetry(ctx, self.reporter, self._faults)

    async def run(self) -> None:
        """Go through the phases until cancelled; then the phase's task is cancelled too, and the node stopped."""
        self._telemetry.began(self.board.since)
        try:
            while True:
                try:
                    await self._step()
                except Exception as error:  # noqa: BLE001 - a defect must not end an election, nor go unseen
                    await asyncio.sleep(self._faults.cut_short(error))
                else:
                    self._faults.completed()
        finally:
            await self._attempts.end()
            await self._ctx.node.stop()

    async def _step(self) -> None:
        """Look once, and do the one thing that this look calls for."""
        self.board.last_tick = self._ctx.clock.monotonic()
        self._attempts.note_progress()
        view = await self._look.look(self._attempts.failure, self._attempts.failures)
        self._ctx.view = view
        self.board.database_known |= view.overview is not UNKNOWN
        self._ctx.looked.beat()
        self._attempts.reconsider(view)
        now = self._ctx.clock.now()
        decision = self._decide(view, now)
        with self._faults.caught("telling of a look"):
            self._telemetry.looked(view, self.board.deadline)
        self._faults.settle()
        if decision:
            await self._move(decision)
        elif self._attempts.is_due:
            self._attempts.start(self._machine.state)
        elif self._attempts.has_ended:
            await self._conclude()
        else:
            await self._wait(now)

    def _decide(self, view: View, now: datetime) -> Decision | None:
        """What *view* calls for; nothing, when that cannot be told: the phase's task goes on."""
        ctx = self._ctx
        try:
            self.board.deadlines = deadlines_ahead(ctx.phase, ctx.work, view, now, ctx.policy)
            return decide(ctx.phase, ctx.work, view, now, ctx.policy)
        except Exception as error:  # noqa: BLE001 - as above
            self._faults.found("deciding what comes next", error)
            return None

    async def _conclude(self) -> None:
        """The phase's task has ended: move on with its event, or plan the next attempt."""
        try:
            await self._move(self._attempts.outcome())
        except Exception as error:  # noqa: BLE001 - a defect in one phase must not end the service, nor go unseen
            self._attempts.failed(error, self.board.deadline.at if self.board.deadline else None)

    async def _move(self, decision: Decision) -> None:
        """Fire the decided event: end the phase's task, enter the next phase, tell everybody."""
        ctx, left = self._ctx, self._machine.state
        target = self._machine.fire(decision.event)  # first: an event that the table does not have changes nothing
        await self._attempts.end()
        source, work, now = ctx.phase, decision.work or ctx.work, ctx.clock.now()
        ctx.phase, ctx.work = target, None if target is Phase.WAITING else work
        self.board.moved(source, decision, target, now)
        self._attempts.succeeded()
        for condition in left.conditions - self._machine.state.conditions:
            ctx.conditions.clear(condition)
        with self._faults.caught("telling of a move"):
            self._telemetry.moved(source, decision, work, now)
        if target not in NODE_MUST_RUN:
            await ctx.node.stop()
        ctx.mailbox.database_changed()

    async def _wait(self, now: datetime) -> None:
        """Wait for a signal, the next scan, the next attempt, or the next deadline, and not for long."""
        pauses = [LONGEST_PAUSE_SECONDS, self._look.next_scan - self._ctx.clock.monotonic()]
        if (pause := self._attempts.pause()) is not None:
            pauses.append(pause)
        if (deadline := self.board.deadline) and deadline.at >= now:
            pauses.append((deadline.at - now + timedelta(milliseconds=1)).total_seconds())
        await self._ctx.mailbox.wait(min(pauses))
