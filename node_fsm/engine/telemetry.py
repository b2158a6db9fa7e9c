"""What the log, Prometheus and the journal are told of the engine's looks and moves."""

from datetime import datetime

from loguru import logger

from node_fsm.core.cluster import ChainStatement
from node_fsm.core.conditions import Condition, ConditionType
from node_fsm.core.model import JournalEntry, Overview
from node_fsm.core.phases import NODE_MUST_RUN, Phase
from node_fsm.core.view import UNKNOWN, Deadline, Decision, Unknown, View, Work
from node_fsm.engine.faults import Faults
from node_fsm.engine.reminders import Reminders
from node_fsm.engine.reporter import Reporter
from node_fsm.log import bind_context
from node_fsm.steps.context import Context


class Telemetry:
    """Tells; what it tells of has happened already, and changes nothing."""

    def __init__(self, ctx: Context, reporter: Reporter, faults: Faults) -> None:
        self._ctx = ctx
        self._reporter = reporter
        self._faults = faults
        self._entered = ctx.clock.monotonic()
        self._overview: Overview | Unknown = UNKNOWN
        self._node_restarts = 0
        self._tip: str | None = None
        self._statement: ChainStatement | None = None
        self._shown: object = None
        """What the metrics of elections were made of."""
        self._deadline: Deadline | None = None
        self._reminders = Reminders(ctx.conditions, ctx.clock.monotonic)
        ctx.conditions.listeners.append(self._condition_changed)

    def began(self, since: datetime) -> None:
        """The engine is in its first phase."""
        self._ctx.metrics.entered(self._ctx.phase, since)
        bind_context(phase=str(self._ctx.phase), election=None)

    def looked(self, view: View, deadline: Deadline | None) -> None:
        """The engine has looked at the world, and the clock calls it next at *deadline*."""
        ctx, node = self._ctx, self._ctx.node.state
        ctx.metrics.ticked(ctx.clock.now())
        if deadline != self._deadline:
            ctx.metrics.deadline(deadline)
            self._deadline = deadline
        elections = None if view.overview is UNKNOWN else view.overview.elections
        if (shown := (elections, view.slot_duration, view.unbuildable)) != self._shown:
            ctx.metrics.elections(view, ctx.policy)
            self._shown = shown
        ctx.metrics.node_up(node.running, node.peers_connected)
        self._reminders.remind()
        ctx.metrics.node_restarted(node.restarts - self._node_restarts)
        self._node_restarts = node.restarts
        if ctx.phase in NODE_MUST_RUN and node.height is not None and node.last_block_time:
            ctx.metrics.chain_advanced(node.height, node.last_block_time)
        if node.tip != self._tip:
            self._tip = node.tip
            self._reporter.status_changed()  # others compare their tips with it, its height says who may be the seed
        before, self._statement = self._statement, ctx.statement
        if ctx.statement and ctx.statement.news != (before.news if before else None):
            self._reporter.report_at_once()
        if view.overview is not self._overview:
            self._overview = view.overview
            if view.overview is not UNKNOWN:
                self._read(view.overview)

    def _read(self, overview: Overview) -> None:
        """The database was read anew."""
        ctx = self._ctx
        ctx.metrics.clock_offset((ctx.clock.now() - overview.database_time).total_seconds())
        own = overview.node(ctx.settings.hostname)
        if own and own.p2p_address != self._reporter.advertise:
            self._reporter.status_changed()  # the row is new: others wait for the address

    def moved(self, source: Phase, decision: Decision, work: Work | None, at: datetime) -> None:
        """The engine has left *source*, in which *work* was worked on, for the phase and work of the context."""
        ctx = self._ctx
        logger.info("{} -> {} on {}: {}", source, ctx.phase, decision.event, decision.why)
        self._reporter.journal(
            JournalEntry(
                hostname=ctx.settings.hostname,
                election_id=work.election_id if work else None,
                election_name=work.election_name if work else None,
                source=source,
                event=decision.event,
                target=ctx.phase,
                at=at,
                reason=decision.why,
            )
        )
        bind_context(phase=str(ctx.phase), election=ctx.work.election_name if ctx.work else None)
        entered, self._entered = self._entered, ctx.clock.monotonic()
        ctx.metrics.transition(source, decision.event, ctx.phase, self._entered - entered)
        ctx.metrics.entered(ctx.phase, at)
        ctx.metrics.works_on(ctx.work)

    def _condition_changed(self, type_: ConditionType, condition: Condition | None) -> None:
        self._reminders.changed(type_, condition)
        self._reporter.status_changed()
        with self._faults.caught("telling of a condition"):
            self._ctx.metrics.condition_changed(type_, held=condition is not None)
