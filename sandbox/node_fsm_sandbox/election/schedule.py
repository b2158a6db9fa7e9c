"""When an election is: the times of its row."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self


@dataclass(frozen=True, slots=True)
class Times:
    """The times of an election's row: whole seconds, with a time zone."""

    voting_start: datetime
    voting_end: datetime
    tallying_end: datetime

    @classmethod
    def of(cls, voting_start: datetime, *, voting: float, tallying: float) -> Self:
        """Voting for so many seconds from *voting_start* on, and tallying for so many after it."""
        start = voting_start.replace(microsecond=0)
        end = start + timedelta(seconds=voting)
        return cls(start, end, end + timedelta(seconds=tallying))

    @classmethod
    def soon(cls, lead: float, *, voting: float, tallying: float) -> Self:
        """The same with a voting start *lead* seconds from now."""
        return cls.of(datetime.now(UTC) + timedelta(seconds=lead), voting=voting, tallying=tallying)
