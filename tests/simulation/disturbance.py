"""What befalls a cluster as a whole, drawn from a seed: crashes, cuts, frozen services, clocks set wrong, and more."""

from dataclasses import dataclass
from enum import StrEnum
from random import Random

from tests.simulation.network import DATABASE, S3
from tests.simulation.scenario import TALLYING_SECONDS, Scenario

SHORT = 60.0
LONGEST = (SHORT, SHORT, SHORT, 400.0)
"""Most are over soon; some last through most of an election."""


class Kind(StrEnum):
    """What happens to a host, or between two places."""

    SERVICE_KILLED = "service killed"
    SERVICE_STOPPED = "service stopped"
    SERVICE_FROZEN = "service frozen"
    NODE_KILLED = "node killed"
    NODE_STALLED = "node stalled"
    NODE_BROKEN = "node broken"
    POWER_LOST = "power lost"
    CUT = "cut"
    CLOCK_SET = "clock set"
    CALLS_FAIL = "calls fail"
    CALLS_KILL = "calls kill"
    DISK_LOST = "disk lost"
    DATABASE_RESTORED = "database restored to a copy"


@dataclass(frozen=True, slots=True)
class Disturbance:
    """*kind* begins *at* seconds and is over after *seconds*; *host* and *other* say where, *strength* how much."""

    at: float
    seconds: float
    kind: Kind
    host: str
    other: str
    strength: float

    def __str__(self) -> str:
        where = f"{self.host} - {self.other}" if self.kind is Kind.CUT else self.host
        return f"{self.at:.1f}+{self.seconds:.1f} {self.kind} {where} {self.strength:.2f}"


def draw_disturbances(seed: int, scenario: Scenario) -> tuple[Disturbance, ...]:
    """Those of *seed*, by time. They are over when a third of the last tally's time has passed."""
    random = Random(f"disturbances {seed}")
    end = scenario.elections[-1].voting_end + TALLYING_SECONDS / 3
    kinds = random.sample(list(Kind), k=random.randrange(1, 7))
    places = [*scenario.hosts, DATABASE, S3]
    drawn = []
    for _ in range(random.randrange(2, 9) * (1 + len(scenario.elections))):
        seconds = random.uniform(1, random.choice(LONGEST))
        host = random.choice(scenario.hosts)
        drawn.append(
            Disturbance(
                at=random.uniform(0, end - seconds),
                seconds=seconds,
                kind=random.choice(kinds),
                host=host,
                other=random.choice([place for place in places if place != host]),
                strength=random.random(),
            )
        )
    return tuple(sorted(drawn, key=lambda one: one.at))
