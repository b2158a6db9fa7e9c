"""When what happens: the times of two elections, close together but one after the other."""

from dataclasses import dataclass
from datetime import datetime, timedelta

LIMIT = 175.0
"""Seconds after which the demo stops, so that with its clearing away it takes no more than three minutes."""

LEAD = 15
VOTING = 30
CHAIN_LEAD = 12
"""Seconds from a chain's start to the first vote.

Leader 0 looks for peers for 5 s before it begins alone, and others that found none try again every 5 s, so that the
last node may be there after 10.
"""

BETWEEN = 20
"""From the end of one vote to the beginning of the next: time to tally, archive and reset, then CHAIN_LEAD."""

TALLYING = 60

OFFSET_MINUTES = -CHAIN_LEAD / 60


@dataclass(frozen=True, slots=True)
class Times:
    """The times of an election's row: whole seconds, with a time zone."""

    voting_start: datetime
    voting_end: datetime
    tallying_end: datetime


def schedule(now: datetime) -> tuple[Times, Times]:
    """The times of two elections that are imported *now*."""
    start = now.replace(microsecond=0) + timedelta(seconds=LEAD)
    end = start + timedelta(seconds=VOTING)
    second_start = end + timedelta(seconds=BETWEEN)
    second_end = second_start + timedelta(seconds=VOTING)
    return (
        # Both tallies have to be done by then, and the first one before the second vote.
        Times(start, end, second_start),
        Times(second_start, second_end, second_end + timedelta(seconds=TALLYING)),
    )
