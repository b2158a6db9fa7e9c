"""Chain time: how block dates and the wall clock map onto each other.

A block date is ``epoch.slot``; slot 0.0 begins at block0_date, every slot lasts ``slot_duration`` seconds and
an epoch has ``slots_per_epoch`` slots. All functions are pure; times are timezone-aware.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import ceil

from node_fsm.core.block_date import BlockDate

__all__ = ["END_OF_TIME", "FIRST_TIME", "BlockDate", "ChainClock", "ChainDates", "chain_start", "utc_now"]

FIRST_TIME = datetime(1970, 1, 1, tzinfo=UTC)
END_OF_TIME = datetime(9000, 1, 1, tzinfo=UTC)
"""Times are from the first on and before the end: block 0 counts from 1970, and deadlines are counted beyond the last
date."""


@dataclass(frozen=True, slots=True)
class ChainClock:
    """The time base of one chain: its start and the lengths of slots (seconds) and epochs (slots)."""

    start: datetime
    slot_duration: int
    slots_per_epoch: int

    def date_at(self, time: datetime) -> BlockDate:
        """The slot that *time* falls into; ValueError before the chain's start."""
        slots = (time - self.start) // timedelta(seconds=self.slot_duration)
        if slots < 0:
            raise ValueError(f"{time.isoformat()} is before the chain's start {self.start.isoformat()}")
        return BlockDate(*divmod(slots, self.slots_per_epoch))

    def time_at(self, date: BlockDate) -> datetime:
        """The moment at which slot *date* begins."""
        slots = date.epoch * self.slots_per_epoch + date.slot
        return self.start + timedelta(seconds=slots * self.slot_duration)

    def is_on_grid(self, time: datetime) -> bool:
        """Whether a slot begins exactly at *time*."""
        return (time - self.start) % timedelta(seconds=self.slot_duration) == timedelta(0)

    def expiry(self, tip: BlockDate) -> BlockDate:
        """The expiry to give a transaction made while the tip is at *tip*: the last slot of the next epoch.

        An earlier slot of that epoch risks expiring at once when the transaction is made late in its epoch;
        a later epoch is refused by nodes whose chain allows one epoch ahead.
        """
        return BlockDate(tip.epoch + 1, self.slots_per_epoch - 1)


@dataclass(frozen=True, slots=True)
class ChainDates:
    """A chain's time base with the three dates of its vote plans, as block 0 says them."""

    clock: ChainClock
    vote_start: BlockDate
    vote_end: BlockDate
    committee_end: BlockDate

    @property
    def vote_start_time(self) -> datetime:
        return self.clock.time_at(self.vote_start)

    @property
    def vote_end_time(self) -> datetime:
        return self.clock.time_at(self.vote_end)

    @property
    def committee_end_time(self) -> datetime:
        return self.clock.time_at(self.committee_end)


def chain_start(voting_start: datetime, offset_minutes: float, slot_duration: int) -> datetime:
    """When the chain of an election with *voting_start* begins.

    *offset_minutes* is negative or zero; its magnitude is rounded up to whole slots, so that voting_start is the
    beginning of a slot. The result depends on the row and the settings alone, never on the present time, so
    that every restart computes the same block 0.
    """
    slots = ceil(Fraction(str(-offset_minutes)) * 60 / slot_duration)
    return voting_start - timedelta(seconds=slots * slot_duration)


def utc_now() -> datetime:
    """The wall clock, timezone-aware."""
    return datetime.now(UTC)
