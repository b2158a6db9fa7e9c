"""The wall clock, as schedules read it."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The wall clock, for schedules. Timers use the event loop's monotonic clock."""

    def now(self) -> datetime: ...
