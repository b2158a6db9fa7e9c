"""Builders of small worlds: an election of seven days on slots of four seconds, and readings of it.

An election named "spring" starts at ``VOTING_START``; with the default offset its chain starts an hour earlier.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from node_fsm.core.chain_time import BlockDate, ChainClock, ChainDates
from node_fsm.core.decide import LEAST_FAILURES
from node_fsm.core.errors import ServiceError
from node_fsm.core.model import Block0Ref, ElectionOverview, Overview
from node_fsm.core.phases import Role
from node_fsm.core.view import UNKNOWN, LocalChain, Policy, Unknown, View, Work

SLOT = 4
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
INSTANT = timedelta(microseconds=1)

VOTING_START = datetime(2030, 1, 7, 12, tzinfo=UTC)
DUE = VOTING_START - HOUR
VOTING_END = VOTING_START + 7 * DAY
TALLYING_END = VOTING_END + DAY
CLOSE = TALLYING_END + HOUR


def dates(later: timedelta = timedelta(0)) -> ChainDates:
    """The dates of a chain that starts *later* than the standard one."""
    clock = ChainClock(start=DUE + later, slot_duration=SLOT, slots_per_epoch=900)
    return ChainDates(clock, BlockDate(1, 0), BlockDate(1 + 7 * 24, 0), BlockDate(1 + 8 * 24, 0))


DATES = dates()

ID, NAME, FINGERPRINT = 7, "spring", "as specified"
HASH = "b0" * 32


def policy(role: Role, *, offset_minutes: float = -60, grace_minutes: float = 60) -> Policy:
    return Policy(role, offset_minutes, grace_minutes, hot_reload=False)


def block0(
    hash_: str = HASH, *, fingerprint: str = FINGERPRINT, generation: int = 1, later: timedelta = timedelta(0)
) -> Block0Ref:
    return Block0Ref(hash_, size=1000, fingerprint=fingerprint, generation=generation, dates=dates(later))


def election(
    published: Block0Ref | None = None,
    *,
    id_: int = ID,
    name: str = NAME,
    later: timedelta = timedelta(0),
    fingerprint: str = FINGERPRINT,
    cancelled: bool = False,
    results_posted: bool = False,
    archived: bool = False,
) -> ElectionOverview:
    """A row whose three times are *later* than those of the standard election."""
    return ElectionOverview(
        id=id_,
        name=name,
        voting_start=VOTING_START + later,
        voting_end=VOTING_END + later,
        tallying_end=TALLYING_END + later,
        revision=1,
        fingerprint=fingerprint,
        cancelled=cancelled,
        block0=published,
        results_posted=results_posted,
        archived=archived,
    )


def overview(*elections: ElectionOverview, archived: Iterable[str] = (), withdrawn: Iterable[str] = ()) -> Overview:
    return Overview(
        elections=elections,
        missed=(),
        nodes=(),
        archived=frozenset(archived),
        withdrawn=frozenset(withdrawn),
        database_time=VOTING_START,
    )


def view(
    of: Overview | Unknown,
    *local: LocalChain,
    slot_duration: int | Unknown = SLOT,
    generation: int | None = 1,
    tip: BlockDate | Unknown = UNKNOWN,
    failure: ServiceError | None = None,
) -> View:
    return View(of, local, slot_duration, generation, tip, failure, LEAST_FAILURES if failure else 0)


def work(published: Block0Ref | None = None, *, fingerprint: str = FINGERPRINT) -> Work:
    return Work(ID, NAME, fingerprint, published)
