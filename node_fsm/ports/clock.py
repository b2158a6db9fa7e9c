"""Time, as the service reads it: one port, so that a test replaces one clock."""

import time
from datetime import datetime
from typing import Protocol

from node_fsm.core.chain_time import utc_now


class Clock(Protocol):
    """The wall clock for schedules, which may be set, and a monotonic one for durations, which only goes on.

    ``monotonic`` agrees with the event loop's own clock: what waits and what measures see the same seconds.
    """

    def now(self) -> datetime:
        """The time, timezone-aware."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment in the past."""
        ...


class MachineClock:
    """The clock of this machine."""

    now = staticmethod(utc_now)
    monotonic = staticmethod(time.monotonic)
