"""The service's metrics: one registry, and one method for each thing that happens.

Times are exported as timestamps, never as ages. What is not known has no series. What the names mean stands in
docs/metrics.md.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from node_fsm.core.calendar import calendar
from node_fsm.core.conditions import ConditionType
from node_fsm.core.phases import Phase, Role
from node_fsm.core.table import TABLES
from node_fsm.core.view import UNKNOWN, Deadline, Policy, View, Work
from node_fsm.log import lines_dropped

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_PHASE_BUCKETS = (
    *(1, 5, 15, _MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 4 * _HOUR, 12 * _HOUR),
    *(_DAY, 3 * _DAY, 7 * _DAY, 14 * _DAY, 30 * _DAY),
)
_DATABASE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_S3_BUCKETS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, _MINUTE, 5 * _MINUTE, 15 * _MINUTE)


ANY_PHASE = ("DescriptorsExhausted", "DiskUnusable", "MemoryExhausted", "ProcessesExhausted", "UnexpectedError")
"""Why the task of any phase may fail, whatever it works with: their series begin with 0.

There are some 150 reasons more, each of a few phases and nearly all never seen: a series of each would be a thousand.
"""


class Measured(Collector):
    """A gauge that has a series only while its value is known: 0 would be a value like any other."""

    def __init__(self, name: str, documentation: str, registry: CollectorRegistry) -> None:
        self._name = name
        self._documentation = documentation
        self._value: float | None = None
        registry.register(self)

    def set(self, value: float | None) -> None:
        """The value is now this one, or not known any more."""
        self._value = value

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The one family, as Prometheus' client asks for it."""
        yield GaugeMetricFamily(self._name, self._documentation, self._value)


class Metrics:
    """What Prometheus is told. Label sets that are known beforehand stand at 0 from the start."""

    def __init__(self, role: Role) -> None:
        self._role = role
        self.registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)

        def gauge(name: str, documentation: str, labels: Iterable[str] = ()) -> Gauge:
            return Gauge(f"node_fsm_{name}", documentation, labels, registry=registry)

        def measured(name: str, documentation: str) -> Measured:
            return Measured(f"node_fsm_{name}", documentation, registry)

        def counter(name: str, documentation: str, labels: Iterable[str] = ()) -> Counter:
            return Counter(f"node_fsm_{name}", documentation, labels, registry=registry)

        def histogram(name: str, documentation: str, labels: Iterable[str], buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"node_fsm_{name}", documentation, labels, registry=registry, buckets=buckets)

        self._build = Info("node_fsm_build", "Versions and the role of this service.", registry=registry)

        self._phase = Enum("node_fsm_phase", "The present phase.", states=[*Phase], registry=registry)
        self._entered = measured("phase_entered_timestamp_seconds", "When the present phase was entered.")
        self._transitions = counter("transitions", "Transitions made.", ("source", "event", "target"))
        self._durations = histogram(
            "phase_duration_seconds", "Time spent in phases that ended.", ("phase",), _PHASE_BUCKETS
        )
        self._failures = counter("failures", "Failed attempts at a phase's task.", ("phase", "reason"))
        self._condition = gauge("condition", "Whether the condition holds.", ("type",))
        self._deadline = gauge("next_deadline_timestamp_seconds", "When the clock calls next.", ("deadline",))
        self._tick = measured("engine_tick_timestamp_seconds", "When the engine last looked at the world.")
        self._clock_offset = measured("clock_offset_seconds", "This clock minus the database's.")
        self._free = measured("storage_free_bytes", "Room left for the working directory.")
        self._size = measured("storage_size_bytes", "Size of the file system of the working directory.")

        self._node_up = gauge("node_up", "Whether the node answers and runs the chain in work.")
        self._node_restarts = counter("node_restarts", "Starts of the node after it ended, or hung, by itself.")
        self._peers = measured("node_peers", "Nodes connected to the node.")
        self._height = measured("chain_height", "Height of the node's tip.")
        self._last_block = measured("last_block_timestamp_seconds", "Time of the node's newest block.")
        self._votes = measured("votes_cast", "Votes in the blocks of the chain in work.")

        self._moments = gauge("election_timestamp_seconds", "When what happens in elections.", ("election", "moment"))
        self._steps = gauge("election_step_done", "Whether an election has got so far.", ("election", "step"))
        self._buildable = gauge("election_buildable", "Whether a block 0 can be made of an election.", ("election",))
        self._election = gauge("election_info", "The election in work.", ("election", "block0_hash"))
        self._block0 = measured("block0_bytes", "Size of the block 0 in work.")
        self._results = measured("results_posted_timestamp_seconds", "When results were last posted.")
        self._private = measured("private_plans", "Private plans of the chain that is tallied.")
        self._decrypted = measured("private_plans_decrypted", "How many of them are decrypted.")
        self._archive = measured("archive_bytes", "Size of the last verified archive.")
        self._verified = measured("archive_verified_timestamp_seconds", "When an archive was last verified.")

        self._database = histogram(
            "database_call_duration_seconds",
            "Calls to the database.",
            ("operation", "outcome"),
            _DATABASE_BUCKETS,
        )
        self._s3 = histogram("s3_call_duration_seconds", "Calls to S3.", ("operation", "outcome"), _S3_BUCKETS)
        registry.register(_LinesDropped())

        for transition in TABLES[role]:
            self._transitions.labels(transition.source, transition.event, transition.target)
            self._durations.labels(transition.source)
            for reason in ANY_PHASE:
                self._failures.labels(transition.source, reason)
        for type_ in ConditionType:
            self._condition.labels(type_)

    def versions(self, service: str, jcli: str, jormungandr: str) -> None:
        """The versions at work are known."""
        versions = {"version": service, "jcli_version": jcli, "jormungandr_version": jormungandr}
        self._build.info({"role": self._role, **versions})

    def entered(self, phase: Phase, at: datetime) -> None:
        """*phase* is the present one since *at*."""
        self._phase.state(phase)
        self._entered.set(at.timestamp())

    def transition(self, source: Phase, event: str, target: Phase, seconds: float) -> None:
        """*event* ended *source*, which had lasted *seconds*."""
        self._transitions.labels(source, event, target).inc()
        self._durations.labels(source).observe(seconds)

    def failure(self, phase: Phase, reason: str) -> None:
        """The task of *phase* failed; *reason* is that of the error, one of a fixed set of words."""
        self._failures.labels(phase, reason).inc()

    def condition_changed(self, type_: ConditionType, held: bool) -> None:
        """Condition *type_* came, changed or went."""
        self._condition.labels(type_).set(held)

    def deadline(self, deadline: Deadline | None) -> None:
        """The clock calls next at *deadline*; only that one is exported."""
        self._deadline.clear()
        if deadline:
            self._deadline.labels(deadline.name).set(deadline.at.timestamp())

    def ticked(self, at: datetime) -> None:
        """The engine looked at the world."""
        self._tick.set(at.timestamp())

    def clock_offset(self, seconds: float) -> None:
        """This machine's clock is *seconds* ahead of the database's (negative: behind)."""
        self._clock_offset.set(seconds)

    def storage(self, free: int, size: int) -> None:
        """The file system of the working directory has so many bytes, and so many *free* for this user."""
        self._free.set(free)
        self._size.set(size)

    def node_up(self, up: bool, peers: int) -> None:
        """Whether the node answers and runs the chain in work, and how many others are connected to it if so."""
        self._node_up.set(up)
        self._peers.set(peers if up else None)

    def node_restarted(self, times: int) -> None:
        """The node was started again so many *times* after it had ended, or hung, by itself."""
        self._node_restarts.inc(times)

    def chain_advanced(self, height: int, last_block: datetime) -> None:
        """The node's tip is a block of this height and time."""
        self._height.set(height)
        self._last_block.set(last_block.timestamp())

    def votes_cast(self, votes: int) -> None:
        """So many votes are in the blocks of the chain in work."""
        self._votes.set(votes)

    def elections(self, view: View, policy: Policy) -> None:
        """These elections are not closed; while the database is away those of its last reading are exported on."""
        if view.overview is UNKNOWN:
            return
        for known in (self._moments, self._steps, self._buildable):
            known.clear()
        for election in view.overview.elections:
            if election.cancelled and election.block0 is None:
                continue
            for moment, at in calendar(election, view, policy).items():
                self._moments.labels(election.name, moment).set(at.timestamp())
            self._steps.labels(election.name, "block0_published").set(election.block0 is not None)
            self._steps.labels(election.name, "results_posted").set(election.results_posted)
            if self._role is Role.LEADER0 and election.block0 is None:
                self._buildable.labels(election.name).set(election.id not in view.unbuildable)

    def works_on(self, work: Work | None) -> None:
        """This is the election in work now; what was known of the chain of another one is forgotten."""
        block0 = work.block0 if work else None
        self._election.clear()
        if work:
            self._election.labels(work.election_name, block0.hash if block0 else "").set(1)
        self._block0.set(block0.size if block0 else None)
        if block0 is None:
            for of_the_chain in (self._height, self._last_block, self._votes, self._private, self._decrypted):
                of_the_chain.set(None)

    def results_posted(self, at: datetime) -> None:
        """An election's results stand in the database."""
        self._results.set(at.timestamp())

    def plans_decrypted(self, decrypted: int, plans: int) -> None:
        """So many of the private *plans* of the chain in work are *decrypted*."""
        self._decrypted.set(decrypted)
        self._private.set(plans)

    def archive_verified(self, size: int, at: datetime) -> None:
        """An archive of *size* bytes was read back and found right."""
        self._archive.set(size)
        self._verified.set(at.timestamp())

    def database_call(self, operation: str) -> AbstractContextManager[None]:
        """Time the enclosed call to the database."""
        return _timed(self._database, operation)

    def s3_call(self, operation: str) -> AbstractContextManager[None]:
        """Time the enclosed call to S3."""
        return _timed(self._s3, operation)


class _LinesDropped(Collector):
    """What the log counts by itself: it is there before the metrics are."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily("node_fsm_log_lines_dropped", "Lines that the log did not take.", lines_dropped())


@contextmanager
def _timed(histogram: Histogram, operation: str) -> Iterator[None]:
    outcome = "error"
    start = time.perf_counter()
    try:
        yield
        outcome = "success"
    except asyncio.CancelledError:
        outcome = "cancelled"
        raise
    finally:
        histogram.labels(operation, outcome).observe(time.perf_counter() - start)
