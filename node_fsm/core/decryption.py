"""How long private votes take to be opened, by what jcli was seen to take on a machine.

For a plan jcli makes a table of the first 2 * sqrt(power) points, *power* the most that voted on one of its proposals;
then it takes that many votes at once off each sum until it finds what is left in the table. All votes of a proposal are
*power* together, so that however they are spread over its options, those are sqrt(power) / 2 steps in all. Before that
it checks each member's share of each option.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from heapq import heapify, heapreplace
from math import isfinite, sqrt
from typing import Any, Self


def table_steps(power: int) -> float:
    """How many points jcli's table has for sums up to *power*."""
    return 2 * sqrt(power)


def search_steps(power: int) -> float:
    """How many steps it takes from *power* votes down into that table."""
    return sqrt(power) / 2


@dataclass(frozen=True, slots=True)
class DecryptionSpeed:
    """What the *jcli* of this version takes on a machine with *cores*, in seconds of one core's time.

    *call* is for being started at all, *share* for checking one member's share of one option, *table_step* and
    *search_step* for one step of each kind.
    """

    jcli: str
    cores: int
    call: float
    share: float
    table_step: float
    search_step: float

    def of_plan(self, power: int, options: Sequence[int], members: int) -> float:
        """Seconds for a plan at most: *power* votes in all on each proposal, *options* says how many those have."""
        shares = self.share * members * sum(options)
        search = self.search_step * (len(options) * search_steps(power) + sum(options))
        return self.call + shares + self.table_step * table_steps(power) + search

    def side_by_side(self, plans: Iterable[float]) -> float:
        """Seconds for plans that take so long each, as many at a time as there are cores."""
        busy = [0.0] * self.cores
        heapify(busy)
        for seconds in plans:
            heapreplace(busy, busy[0] + seconds)
        return max(busy)

    def document(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    @classmethod
    def parse(cls, document: object) -> Self | None:
        """What :meth:`document` gave; None when it is something else."""
        if not isinstance(document, Mapping) or {field.name for field in fields(cls)} != set(document):
            return None
        jcli, cores, *seconds = (document[field.name] for field in fields(cls))
        good = isinstance(jcli, str) and type(cores) is int and cores > 0
        if not good or not all(type(value) is float and isfinite(value) and value >= 0 for value in seconds):
            return None
        return cls(jcli, cores, *seconds)


@dataclass(frozen=True, slots=True)
class DecryptionLimit:
    """How long the private votes of an election may take to be opened, by a machine's speed."""

    speed: DecryptionSpeed
    seconds: float
