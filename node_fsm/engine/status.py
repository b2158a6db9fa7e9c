"""What is told of this service: to people by the sidecar, to other nodes in the database."""

from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from node_fsm.core.cluster import NodeReport
from node_fsm.core.conditions import Condition, ConditionType
from node_fsm.core.events import Event
from node_fsm.core.phases import NODE_MUST_RUN, Phase, Role
from node_fsm.core.tally_progress import TallyProgress
from node_fsm.core.view import Deadline, Decision
from node_fsm.engine.attempts import Attempts
from node_fsm.ports.node import NodeStatus
from node_fsm.steps import readiness
from node_fsm.steps.context import Context

DISABLING = readiness.CONDITIONS | {
    ConditionType.CLOCK_WRONG,
    ConditionType.DATABASE_UNAVAILABLE,
    ConditionType.PROGRAM_UNUSABLE,
    ConditionType.STORAGE_UNREADABLE,
    ConditionType.WORK_FAILING,
}
"""The conditions with which the service is not able to do what comes next."""

KEPT_MOVES = 12
"""More than once around: what is shown of how the present phase was come to."""


@dataclass(frozen=True, slots=True)
class Move:
    """A transition that this service made, and the sentence saying *why*."""

    source: Phase
    event: Event
    target: Phase
    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """The service at one moment.

    *election* is the name of the one in work; *last_error* the present failure of the phase's task; *last_tick* when
    the engine last looked at the world, by the monotonic clock; *database_known* says whether the database was read
    since the start; *node_problems* says why the node is not ready, empty when it is. *tally* says how far the private
    votes of the chain in work are opened, None before that begins, *seconds_left* how long shares are still taken.
    *deadlines* are all that are ahead, the next first; *moves* the last transitions since the start, the newest last;
    *node* is the process as it was last seen; *votes* those in the blocks of the chain in work, None when not known.
    """

    phase: Phase
    since: datetime
    role: Role
    hostname: str
    election: str | None
    block0_hash: str | None
    next_deadline: Deadline | None
    conditions: tuple[Condition, ...]
    last_error: str | None
    last_tick: float
    database_known: bool
    node_problems: tuple[str, ...]
    tally: TallyProgress | None = None
    seconds_left: float | None = None
    deadlines: tuple[Deadline, ...] = ()
    moves: tuple[Move, ...] = ()
    node: NodeStatus | None = None
    votes: int | None = None

    @property
    def unready(self) -> tuple[str, ...]:
        """Why the service does not do what its phase asks of it; empty when it does.

        While people vote that is the node's matter alone: what else fails then must not take it from the voters.
        """
        if self.phase is Phase.RUNNING:
            return self.node_problems
        unread = () if self.database_known else ("the database has not been read since the start",)
        held = tuple(f"{held.type}: {held.message}" for held in self.conditions if held.type in DISABLING)
        return (*unread, *held, *(self.node_problems if self.phase in NODE_MUST_RUN else ()))


class StateSource(Protocol):
    """Where the sidecar has the status from."""

    def status(self) -> ServiceStatus:
        """The present state; neither waits nor fails."""
        ...


class StatusBoard:
    """Knows the present status. The engine says when it looked, what it waits for, and when it entered a phase."""

    def __init__(self, ctx: Context, attempts: Attempts) -> None:
        self._ctx = ctx
        self._attempts = attempts
        self.since = ctx.clock.now()
        self.deadlines: tuple[Deadline, ...] = ()
        self._moves: deque[Move] = deque(maxlen=KEPT_MOVES)
        self.last_tick = ctx.clock.monotonic()
        self.database_known = False
        self.stopped = False

    @property
    def deadline(self) -> Deadline | None:
        """The next of the deadlines."""
        return next(iter(self.deadlines), None)

    def moved(self, source: Phase, decision: Decision, target: Phase, at: datetime) -> None:
        """The engine has left *source* for *target*."""
        self.since = at
        self._moves.append(Move(source, decision.event, target, at, decision.why))

    def status(self) -> ServiceStatus:
        """The present state, for the sidecar."""
        ctx, node, failure = self._ctx, self._ctx.node.state, self._attempts.failure
        tally = _of_the_chain(ctx)
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
            last_error=str(failure) if failure else None,
            last_tick=self.last_tick,
            database_known=self.database_known,
            node_problems=() if node.running else (problem[1],),
            tally=tally,
            seconds_left=max(0.0, (tally.until - ctx.clock.now()).total_seconds()) if tally else None,
            deadlines=self.deadlines,
            moves=tuple(self._moves),
            node=node,
            votes=_votes_of_the_chain(ctx),
        )

    def report(self) -> NodeReport:
        """This node's line in the cluster's status."""
        ctx, node = self._ctx, self._ctx.node.state
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
            holds_chain=up and block0 is not None and block0.hash == node.block0_hash and self._is_held(),
            statement=ctx.statement if up else None,
            decryption_speed=ctx.decryption_speed,
            role=ctx.policy.role,
            votes=_votes_of_the_chain(ctx),
            deadline=self.deadline,
            details=tuple(ctx.conditions),
            stopped=self.stopped,
        )

    def _is_held(self) -> bool:
        with suppress(OSError):  # what cannot be seen is not claimed: then the record stays as it is
            return self._ctx.chain().is_held
        return False


def _votes_of_the_chain(ctx: Context) -> int | None:
    """How many votes are in the blocks of the chain in work; None while that is not known."""
    block0 = ctx.work.block0 if ctx.work else None
    return ctx.votes[1] if block0 and ctx.votes and ctx.votes[0] == block0.hash else None


def _of_the_chain(ctx: Context) -> TallyProgress | None:
    """How far the private tally of the chain in work is; that of an earlier one is of no interest any more."""
    block0, told = ctx.work.block0 if ctx.work else None, ctx.tally_progress
    return told if block0 and told and told.block0_hash == block0.hash else None
