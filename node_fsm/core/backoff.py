"""Delays between attempts, for whatever is tried again."""

import random
from dataclasses import dataclass

JITTER = 0.25
"""By what part a delay may be shorter, so that nodes that failed together do not try again together."""

_MOST_DOUBLINGS = 16


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds: *first* after one failure, twice as long after each more, never above *longest*."""

    first: float
    longest: float

    def delay(self, failures: int) -> float:
        """Seconds to wait after so many *failures* in a row, at least one; up to a quarter less by chance."""
        delay = min(self.first * 2.0 ** min(failures - 1, _MOST_DOUBLINGS), self.longest)
        return delay * random.uniform(1 - JITTER, 1)  # noqa: S311 - spreads attempts, guards nothing
