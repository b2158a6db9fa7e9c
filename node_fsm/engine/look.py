"""The engine's look at the world: each source on its own, and none of them can end it.

What cannot be read is unknown for this look, and a condition says why. Unknown never means gone.
"""

import shutil
from collections.abc import Callable
from datetime import datetime
from typing import Literal, TypeVar

from loguru import logger

from node_fsm.aio.deadline import deadline
from node_fsm.aio.threads import DISK, in_thread
from node_fsm.block0.checks.capacity import blocks_too_large
from node_fsm.core.chain_time import BlockDate
from node_fsm.core.conditions import ConditionType
from node_fsm.core.current import with_what_is_here
from node_fsm.core.errors import ServiceError, UnexpectedError, as_service_error
from node_fsm.core.model import Overview
from node_fsm.core.observe import observations
from node_fsm.core.phases import NODE_MUST_RUN, Role
from node_fsm.core.view import UNKNOWN, LocalChain, Unknown, View
from node_fsm.engine.faults import Faults
from node_fsm.ports import Clock
from node_fsm.steps.context import Context
from node_fsm.steps.set_aside import with_deferred

OVERVIEW_SECONDS = 10.0
DATABASE_RETRY_SECONDS = 5.0

CLOCK_TOLERANCE_SECONDS = 1.0
"""By how much this machine's clock may differ from the database's: less than the shortest slot."""

CLOCK_SET = (
    "ClockSet",
    (
        "this machine's clock was set, and the database, by whose clock it is checked, does not answer: nothing is"
        " begun or given up by it until it does; bring the database back, and see that the clock is right"
    ),
)

T = TypeVar("T")


class Look:
    """Makes a :class:`View` of the world, and keeps the conditions that tell what is seen in it."""

    def __init__(self, ctx: Context, rescan_seconds: float, faults: Faults) -> None:
        self._ctx = ctx
        self._rescan_seconds = rescan_seconds
        self._faults = faults
        self._overview: Overview | Literal[Unknown.UNKNOWN] = UNKNOWN
        self._beside: tuple[Overview, tuple[LocalChain, ...], Overview] | None = None
        """A reading of the database, what was here then, and what the first is beside the second."""
        self._asked: frozenset[str] = frozenset()
        """The block 0 hashes that the last reading of the database was asked about."""
        self._wall_ahead: float | None = None
        """By how much the wall clock was ahead of the monotonic one when it was last compared with the database's."""
        self.next_scan = 0.0
        """When the database is read anew without a signal, in seconds of the monotonic clock."""

    async def look(self, failure: ServiceError | None, failures: int) -> View:
        """The world now; *failure* is how the phase's task last ended, and *failures* how often it has failed.

        The database is read only when that is due.
        """
        ctx = self._ctx
        local = await self._read(ConditionType.STORAGE_UNREADABLE, "reading NODE_FSM_STORAGE_DIR", self._storage)
        hashes = self._hashes(local)
        is_due = ctx.clock.monotonic() >= self.next_scan or self._clock_was_set()
        if ctx.mailbox.take_database_change() or is_due or not hashes <= self._asked:
            await self._read_database(hashes)
        overview = self._marked(local)
        template = await self._read(ConditionType.TEMPLATE_INVALID, "reading NODE_FSM_BLOCK0_TEMPLATE", ctx.template)
        if template is not UNKNOWN and ctx.policy.role is Role.LEADER0:
            ctx.conditions.set(ConditionType.BLOCKS_TOO_LARGE, blocks_too_large(template))
        view = View(
            overview=overview,
            local=local,
            slot_duration=UNKNOWN if template is UNKNOWN else template.slot_duration,
            generation=ctx.lease.generation if ctx.lease else None,
            tip=self._tip() or UNKNOWN,
            failure=failure,
            failures=failures,
            clock_wrong=ConditionType.CLOCK_WRONG in ctx.conditions,
            unbuildable=frozenset() if overview is UNKNOWN else ctx.unbuildable(overview),
        )
        with self._faults.caught("looking for what the database has to say"):
            for condition, problem in observations(ctx.phase, ctx.work, view, ctx.clock.now(), ctx.policy).items():
                ctx.conditions.set(condition, problem)
        return view

    def _storage(self) -> tuple[LocalChain, ...]:
        room = shutil.disk_usage(self._ctx.workspace.root)
        self._ctx.metrics.storage(room.free, room.total)
        return self._ctx.workspace.chains()

    def _hashes(self, local: tuple[LocalChain, ...] | Literal[Unknown.UNKNOWN]) -> frozenset[str]:
        """The chains of which the database is asked whether they are archived or withdrawn."""
        work = self._ctx.work
        here = () if local is UNKNOWN else (chain.block0_hash for chain in local if chain.block0_hash)
        return frozenset({*here, *((work.block0.hash,) if work and work.block0 else ())})

    async def _read_database(self, hashes: frozenset[str]) -> None:
        ctx = self._ctx
        self._asked = hashes
        self.next_scan = ctx.clock.monotonic() + self._rescan_seconds
        asked = ctx.clock.monotonic()
        try:
            async with deadline(OVERVIEW_SECONDS, "DatabaseSlow", "the database did not answer"):
                overview = await ctx.database.overview(hashes)
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises, the chain goes on
            self._overview = UNKNOWN
            self.next_scan = ctx.clock.monotonic() + min(DATABASE_RETRY_SECONDS, self._rescan_seconds)
            self._unreadable(ConditionType.DATABASE_UNAVAILABLE, "reading the database", error)
            if self._clock_was_set():
                ctx.conditions.set(ConditionType.CLOCK_WRONG, CLOCK_SET)
        else:
            self._overview = await in_thread(DISK, with_deferred, overview, ctx.workspace)
            ctx.conditions.clear(ConditionType.DATABASE_UNAVAILABLE)
            self._compare_clocks(overview.database_time, took=ctx.clock.monotonic() - asked)

    def _marked(self, local: tuple[LocalChain, ...] | Literal[Unknown.UNKNOWN]) -> Overview | Literal[Unknown.UNKNOWN]:
        """The last reading of the database beside what is here; the same object until one of the two is another."""
        if self._overview is UNKNOWN or local is UNKNOWN:
            return self._overview
        if self._beside is None or self._beside[0] is not self._overview or self._beside[1] != local:
            self._beside = self._overview, local, with_what_is_here(self._overview, local, self._ctx.policy)
        return self._beside[2]

    def _clock_was_set(self) -> bool:
        """Whether somebody set the wall clock since it was last compared: until it is again, it may be wrong."""
        if self._wall_ahead is None:
            return False
        return abs(wall_ahead(self._ctx.clock) - self._wall_ahead) >= CLOCK_TOLERANCE_SECONDS

    def _compare_clocks(self, database_time: datetime, took: float) -> None:
        """Say whether the clocks differ by more than they may; the database's was read within *took* seconds."""
        self._wall_ahead = wall_ahead(self._ctx.clock)
        problem = clock_problem(self._ctx.clock.now(), database_time, took)
        self._ctx.conditions.set(ConditionType.CLOCK_WRONG, problem)

    async def _read(
        self, condition: ConditionType, doing: str, source: Callable[[], T]
    ) -> T | Literal[Unknown.UNKNOWN]:
        """What *source* says, on a thread: a disk that hangs must not hold up whatever else the service does."""
        try:
            value = await in_thread(DISK, source)
        except Exception as error:  # noqa: BLE001 - as above
            self._unreadable(condition, doing, error)
            return UNKNOWN
        self._ctx.conditions.clear(condition)
        return value

    def _unreadable(self, condition: ConditionType, doing: str, error: Exception) -> None:
        problem = as_service_error(error, doing)
        if isinstance(problem, UnexpectedError) and condition not in self._ctx.conditions:
            logger.opt(exception=error).error("{}", problem)
        self._ctx.conditions.raise_(condition, problem.reason, problem.message)

    def _tip(self) -> BlockDate | None:
        """The date of the newest block that the node told of, if it runs the chain in work."""
        node, phase, work = self._ctx.node.state, self._ctx.phase, self._ctx.work
        if phase in NODE_MUST_RUN and work and work.block0 and work.block0.hash == node.block0_hash:
            return node.tip_date
        return None


def wall_ahead(clock: Clock) -> float:
    """By how many seconds the wall clock is ahead of the monotonic one; constant unless somebody sets it."""
    return clock.now().timestamp() - clock.monotonic()


def clock_problem(now: datetime, database_time: datetime, took: float) -> tuple[str, str] | None:
    """(reason, message) when the clocks differ by more than they may; the database's was read within *took* seconds."""
    offset = (now - database_time).total_seconds()
    surely = offset - took if offset > 0 else -offset
    if surely < CLOCK_TOLERANCE_SECONDS:
        return None
    where = "ahead of" if offset > 0 else "behind"
    return (
        "ClockWrong",
        (
            f"this machine's clock is {surely:.0f} s {where} the database's: no chain is begun by it, and other nodes"
            " refuse blocks that are made by it; mend the clock that is wrong"
        ),
    )
