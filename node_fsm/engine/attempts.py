"""The task of the present phase: that it is done, how it failed, and when it is tried again."""

import asyncio
from collections import Counter
from datetime import datetime
from typing import NamedTuple

from loguru import logger

from node_fsm.core.backoff import Backoff
from node_fsm.core.conditions import ConditionType
from node_fsm.core.errors import PermanentError, ServiceError, TemporaryError, UnexpectedError, as_service_error
from node_fsm.core.view import UNKNOWN, Decision, View
from node_fsm.engine.store_watch import StoreWatch
from node_fsm.ports.object_errors import STORE_UNAVAILABLE
from node_fsm.steps.context import Context
from states.base import PhaseState

RETRY = Backoff(first=1.0, longest=60.0)
DEADLINE_SHARE = 0.25
"""At most this part of the time to the next deadline passes between two attempts."""


class Attempts:
    """At most one task at a time. After a failure it is tried again later, or as soon as what it lacked is there."""

    def __init__(self, ctx: Context, rescan_seconds: float) -> None:
        self._ctx = ctx
        self._rescan_seconds = rescan_seconds
        self._task: asyncio.Task[Decision] | None = None
        self._failures: Counter[str] = Counter()
        """By reason, since it last went well."""
        self._retry_at = 0.0
        self._circumstances = _Circumstances(None, 0, None, database_answers=True)
        self._store_watch = StoreWatch(ctx, on_back=self._try_now)
        self.failure: ServiceError | None = None
        """How the last attempt ended; None when it has not failed, or goes well again."""

    @property
    def is_due(self) -> bool:
        """Whether no task is under way, and the next may start."""
        return self._task is None and self._ctx.clock.monotonic() >= self._retry_at

    @property
    def failures(self) -> int:
        """How many attempts have failed since it last went well."""
        return self._failures.total()

    @property
    def has_ended(self) -> bool:
        """Whether there is an :meth:`outcome`."""
        return self._task is not None and self._task.done()

    def pause(self) -> float | None:
        """Seconds until the next attempt; None while a task is under way."""
        return None if self._task else self._retry_at - self._ctx.clock.monotonic()

    def start(self, state: PhaseState) -> None:
        """Begin the task of *state*; the engine is woken when it ends."""
        self._task = asyncio.create_task(state.run(self._ctx), name=state.name)
        self._task.add_done_callback(lambda _: self._ctx.mailbox.look_again())

    def outcome(self) -> Decision:
        """The decision of the task that has ended; raises what it raised."""
        assert self._task is not None, "a task has ended"
        task, self._task = self._task, None
        if task.cancelled():
            raise RuntimeError("it was cancelled, and not by the engine")
        return task.result()

    async def end(self) -> None:
        """Cancel the task, if any, and wait for it: its threads and commands end by their own deadlines."""
        self._store_watch.end()
        if self._task is None:
            return
        task, self._task = self._task, None
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()):
            logger.debug("the cancelled task of {} ended with {!r}", self._ctx.phase, error)

    def failed(self, error: Exception, deadline: datetime | None) -> None:
        """Say why, and plan the next attempt: soon and then more slowly, or slowly when a person must act.

        Each cause has delays of its own. Before *deadline* several attempts are made, whatever failed before.
        """
        ctx, problem = self._ctx, as_service_error(error, f"the task of {self._ctx.phase}")
        if isinstance(problem, UnexpectedError):
            logger.opt(exception=error).error("the task of {} ended unexpectedly", ctx.phase)
        self._failures[problem.reason] += 1
        is_temporary = isinstance(problem, TemporaryError)
        delay = RETRY.delay(self._failures[problem.reason]) if is_temporary else self._rescan_seconds
        left = (deadline - ctx.clock.now()).total_seconds() if deadline else 0.0
        if left > 0:
            delay = min(delay, max(left * DEADLINE_SHARE, RETRY.first))
        self._retry_at = ctx.clock.monotonic() + delay
        self.failure = problem
        if problem.reason == STORE_UNAVAILABLE:
            self._store_watch.begin()
        ctx.metrics.failure(ctx.phase, problem.reason)
        ctx.conditions.raise_(ConditionType.WORK_FAILING, problem.reason, problem.message)
        logger.debug("{} tries again in {:.1f} s: {}", ctx.phase, delay, problem)

    def succeeded(self) -> None:
        """Forget earlier failures."""
        self.failure, self._retry_at = None, 0.0
        self._failures.clear()
        self._store_watch.end()
        self._ctx.conditions.clear(ConditionType.WORK_FAILING)

    def note_progress(self) -> None:
        """Forget them also when a task that never ends has said that it goes well again."""
        if self._ctx.progressed:
            self._ctx.progressed = False
            self.succeeded()

    def reconsider(self, view: View) -> None:
        """Try again at once when *view* has what the last attempt may have failed for."""
        before = self._circumstances
        self._circumstances = now = _Circumstances.seen(self._ctx, view, before)
        is_mended = isinstance(self.failure, PermanentError) and now.specified != before.specified
        is_mended |= isinstance(self.failure, TemporaryError) and now.database_answers > before.database_answers
        # Votes that the node lost may expire, and the lease is what publications wait for.
        if is_mended or (now.lease, now.node_start) != (before.lease, before.node_start):
            self._retry_at = 0.0

    def _try_now(self) -> None:
        self._retry_at = 0.0
        self._ctx.mailbox.look_again()


class _Circumstances(NamedTuple):
    """What a failed task may have lacked: the lease, the node, or what a person has to mend in the database.

    *node_start* numbers the start of the node that answered last; *specified* is what was last read;
    *database_answers* whether it could be read.
    """

    lease: object
    node_start: int
    specified: object
    database_answers: bool

    @classmethod
    def seen(cls, ctx: Context, view: View, before: "_Circumstances") -> "_Circumstances":
        specified, node = before.specified, ctx.node.state
        lease = ctx.lease and (ctx.lease.generation, ctx.lease.unconfirmed_holder)
        if view.overview is not UNKNOWN:
            revisions = tuple((election.id, election.revision) for election in view.overview.elections)
            specified = (revisions, view.overview.nodes)
        node_start = node.starts if node.running else before.node_start
        return cls(lease, node_start, specified, view.overview is not UNKNOWN)
