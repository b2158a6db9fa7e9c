"""Stand-ins for the engine's surroundings: a database that says what it is told to, a node."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from node_fsm.core.chain_time import BlockDate, ChainClock, ChainDates
from node_fsm.core.cluster import NodeReport
from node_fsm.core.events import Fact
from node_fsm.core.model import Block0Ref, ElectionOverview, JournalEntry, NodeRow, Overview
from node_fsm.ports import Clock, NodeStatus, ProcessPhase

START = datetime(2030, 1, 1, 12, tzinfo=UTC)


FACT = JournalEntry("leader0", 1, "first", "Running", Fact.BLOCK0_WRITTEN, "Running", START, "for a test")
"""What goes into the journal with whatever a test writes."""


@dataclass
class FakeDatabase:
    """Answers with *answer* or raises *failure*, whatever that is; keeps what is written.

    Its clock is *ahead* of *clock*.
    """

    answer: Overview
    clock: Clock
    ahead: timedelta = timedelta(0)
    failure: Exception | None = None
    readings: int = 0
    asked: set[str] = field(default_factory=set)
    entries: list[JournalEntry] = field(default_factory=list)
    reports: list[NodeReport] = field(default_factory=list)

    async def overview(self, hashes: Collection[str]) -> Overview:
        self.readings += 1
        self.asked = set(hashes)
        self._may_fail()
        return replace(self.answer, database_time=self.clock.now() + self.ahead)

    async def journal(self, entries: Sequence[JournalEntry]) -> None:
        self._may_fail()
        self.entries.extend(entries)

    async def report_status(self, report: NodeReport) -> None:
        self._may_fail()
        self.reports.append(report)

    async def announce(self, hostname: str, p2p_address: str | None) -> None:
        self._may_fail()

    def _may_fail(self) -> None:
        if self.failure:
            raise self.failure


STOPPED = NodeStatus(ProcessPhase.STOPPED, START)
"""How a node is before a chain is required of it."""


@dataclass
class FakeNode:
    """A node that only counts how often it was stopped."""

    state: NodeStatus = STOPPED
    stops: int = 0
    api: Any = None

    def tells(self, **changes: Any) -> None:
        """It is otherwise from now on."""
        self.state = replace(self.state, **changes)

    async def stop(self) -> None:
        self.stops += 1


def dates(start: datetime = START) -> ChainDates:
    """A chain of 1 s slots from *start*: votes from 1.0 to 3.0, tallies until 6.0, ten slots an epoch."""
    return ChainDates(ChainClock(start, 1, 10), BlockDate(1, 0), BlockDate(3, 0), BlockDate(6, 0))


def block0(hash_: str = "ab" * 32, *, fingerprint: str = "1:a", generation: int = 1) -> Block0Ref:
    return Block0Ref(hash_, 1000, fingerprint, generation, dates())


def election(**changes: Any) -> ElectionOverview:
    """An election whose voting starts an hour after START."""
    values: dict[str, Any] = {
        "id": 1,
        "name": "first",
        "voting_start": START + timedelta(hours=1),
        "voting_end": START + timedelta(hours=2),
        "tallying_end": START + timedelta(hours=3),
        "revision": 1,
        "fingerprint": "1:a",
        "cancelled": False,
        "block0": None,
        "results_posted": False,
        "archived": False,
    }
    return ElectionOverview(**(values | changes))


def overview(*elections: ElectionOverview, **changes: Any) -> Overview:
    values: dict[str, Any] = {
        "elections": elections,
        "missed": (),
        "nodes": (NodeRow("leader0", "ed25519_pk1xyz", None),),
        "archived": frozenset(),
        "withdrawn": frozenset(),
        "database_time": START,
    }
    return Overview(**(values | changes))
