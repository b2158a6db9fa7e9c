"""The election database in memory: its compare-and-set rules, and failures before or after an effect."""

from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from node_fsm.core.errors import PermanentError, ServiceError, TemporaryError
from node_fsm.core.model import (
    ArchiveKind,
    Block0Ref,
    ChainCopy,
    ElectionOverview,
    ElectionSpec,
    JournalEntry,
    Lease,
    Neighbour,
    NodeReport,
    NodeRow,
    Overview,
    PlanResult,
    Publication,
    StoredArchive,
    VotePlan,
)
from node_fsm.ports import Clock

DATABASE_AWAY = TemporaryError("DatabaseUnavailable", "the database does not answer")


@dataclass
class Row:
    """An election's row: what was specified, its voters as (address, group, power), and the block 0 that stands."""

    spec: ElectionSpec
    voters: list[tuple[str, str, int]]
    cancelled: bool = False
    block0: tuple[Publication, bytes] | None = None

    def edit(self, **changes: Any) -> None:
        """Change the specification as an operator does."""
        self.spec = replace(self.spec, revision=self.spec.revision + 1, **changes)


@dataclass
class MemoryDatabase:
    """While *failure* is set every call raises it.

    ``refused[name]`` are raised one by one by the method of that name without an effect, ``lost[name]`` after it:
    the answer is lost, the effect is not.
    """

    clock: Clock
    rows: dict[int, Row] = field(default_factory=dict)
    nodes: list[NodeRow] = field(default_factory=list)
    failure: ServiceError | None = None
    refused: dict[str, deque[ServiceError]] = field(default_factory=dict)
    lost: dict[str, deque[ServiceError]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    published: dict[str, Publication] = field(default_factory=dict)
    withdrawn: set[str] = field(default_factory=set)
    snapshots: dict[str, dict[str, Any]] = field(default_factory=dict)
    posted: dict[str, tuple[PlanResult, ...]] = field(default_factory=dict)
    archives: list[StoredArchive] = field(default_factory=list)
    journalled: list[JournalEntry] = field(default_factory=list)
    statuses: dict[str, NodeReport] = field(default_factory=dict)
    copies: dict[str, dict[str, ChainCopy]] = field(default_factory=dict)
    lease: Lease | None = None
    released: list[Lease] = field(default_factory=list)
    addresses: dict[str, str | None] = field(default_factory=dict)

    async def overview(self, hashes: Collection[str]) -> Overview:
        with self._call("overview"):
            rows = sorted(self.rows.values(), key=lambda row: (row.spec.voting_start, row.spec.id))
            now = self.clock.now()
            missed = [row for row in rows if not row.block0 and not row.cancelled and row.spec.voting_end <= now]
            listed = [row for row in rows if row not in missed and not self._is_closed(row)]
            return Overview(
                elections=tuple(map(self._election, listed)),
                missed=tuple(map(self._election, missed)),
                nodes=tuple(self.nodes),
                archived=frozenset(archive.block0_hash for archive in self.archives) & frozenset(hashes),
                withdrawn=frozenset(self.withdrawn) & frozenset(hashes),
                database_time=now,
            )

    async def specification(self, election_id: int) -> ElectionSpec:
        with self._call("specification"):
            return self._row(election_id).spec

    async def funds(self, election_id: int, power_unit: int) -> AsyncIterator[list[tuple[str, int]]]:
        with self._call("funds"):
            yield [(address, power // power_unit) for address, _, power in self._row(election_id).voters]

    async def tokens(
        self, election_id: int, voting_group: str, power_unit: int
    ) -> AsyncIterator[list[tuple[str, int]]]:
        with self._call("tokens"):
            voters = self._row(election_id).voters
            yield [(address, power // power_unit) for address, group, power in voters if group == voting_group]

    async def publish_block0(self, publication: Publication, block0: Path) -> None:
        with self._call("publish_block0"):
            row = self._row(publication.election_id)
            if row.block0 and row.block0[0].hash == publication.hash:
                return
            if row.block0:
                raise PermanentError("PublicationRefused", "another block 0 stands there")
            if publication.revision != row.spec.revision:
                raise PermanentError("PublicationRefused", "the election was edited")
            self._require_lease(publication.generation)
            row.block0 = (publication, block0.read_bytes())
            self.published[publication.hash] = publication

    async def restore_block0(self, publication: Publication, block0: Path) -> None:
        with self._call("restore_block0"):
            row = self._row(publication.election_id)
            if row.block0 is None and publication.hash in self.withdrawn:
                raise PermanentError("PublicationRefused", "it was withdrawn")
            self._require_lease(publication.generation)
            row.block0 = (replace(self.published[publication.hash], plans=publication.plans), block0.read_bytes())

    async def download_block0(self, election_id: int, block0_hash: str, target: Path) -> None:
        with self._call("download_block0"):
            block0 = self._row(election_id).block0
            if block0 is None or block0[0].hash != block0_hash:
                raise PermanentError("Block0Missing", f"election {election_id} has no block 0 {block0_hash}")
            target.write_bytes(block0[1])

    async def withdraw_block0(self, election_id: int, block0_hash: str, generation: int) -> None:
        with self._call("withdraw_block0"):
            row = self._row(election_id)
            if block0_hash in self.withdrawn:
                return
            self._require_lease(generation)
            if row.block0 and row.block0[0].hash == block0_hash:
                row.block0 = None
            self.withdrawn.add(block0_hash)

    async def vote_plans(self, block0_hash: str) -> tuple[VotePlan, ...]:
        with self._call("vote_plans"):
            return self.published[block0_hash].plans

    async def save_tally_snapshot(self, block0_hash: str, snapshots: dict[str, Any]) -> dict[str, Any]:
        with self._call("save_tally_snapshot"):
            self._require_plans(block0_hash, snapshots)
            return self.snapshots.setdefault(block0_hash, snapshots)

    async def post_results(self, election_id: int, block0_hash: str, results: Sequence[PlanResult]) -> None:
        with self._call("post_results"):
            self._require_plans(block0_hash, {result.plan_id: result for result in results})
            if self.posted.setdefault(block0_hash, tuple(results)) != tuple(results):
                raise PermanentError("ResultsDiffer", "other results stand there")

    async def results(self, block0_hash: str) -> tuple[PlanResult, ...]:
        with self._call("results"):
            return self.posted.get(block0_hash, ())

    async def save_archive(self, archive: StoredArchive) -> None:
        with self._call("save_archive"):
            if archive not in self.archives:
                self.archives.append(archive)

    async def archive(self, block0_hash: str) -> StoredArchive | None:
        with self._call("archive"):
            found = [archive for archive in self.archives if archive.block0_hash == block0_hash]
            return max(found, key=lambda archive: archive.kind is ArchiveKind.FINAL, default=None)

    async def journal(self, entries: Sequence[JournalEntry]) -> None:
        with self._call("journal"):
            self.journalled += [entry for entry in entries if entry not in self.journalled]

    async def report_status(self, report: NodeReport) -> None:
        with self._call("report_status"):
            self.statuses[report.hostname] = report
            if report.block0_hash and report.holds_chain:
                assert report.height is not None
                copy = ChainCopy(report.hostname, report.height, lost=False, is_leader=True)
                self.copies.setdefault(report.block0_hash, {})[report.hostname] = copy

    async def drift(self, election_id: int, block0_hash: str) -> str:
        with self._call("drift"):
            return "voting_end"

    async def chain_copies(self, block0_hash: str) -> tuple[ChainCopy, ...]:
        with self._call("chain_copies"):
            leaders = {node.hostname for node in self.nodes if node.leader_id}
            copies = sorted(self.copies.get(block0_hash, {}).items())
            return tuple(replace(copy, is_leader=name in leaders) for name, copy in copies)

    async def save_chain_copy(self, block0_hash: str, hostname: str, *, lost: bool) -> None:
        with self._call("save_chain_copy"):
            copies = self.copies.setdefault(block0_hash, {})
            known = copies.get(hostname)
            copies[hostname] = ChainCopy(hostname, max(known.height, 1) if known else 1, lost, is_leader=True)

    async def neighbours(self, block0_hash: str, hostname: str) -> tuple[Neighbour, ...]:
        with self._call("neighbours"):
            return tuple(
                Neighbour(report.hostname, report.height, report.tip, report.updated_at)
                for _, report in sorted(self.statuses.items())
                if report.block0_hash == block0_hash and report.hostname != hostname
                if report.height is not None and report.tip is not None
            )

    async def announce(self, hostname: str, p2p_address: str | None) -> None:
        with self._call("announce"):
            self.addresses[hostname] = p2p_address

    async def acquire_lease(self, hostname: str, instance: str, seconds: float) -> Lease | None:
        with self._call("acquire_lease"):
            if self.lease and self.lease.holder != hostname and self.lease.expires_at > self.clock.now():
                return None
            generation = self.lease.generation if self.lease else 1
            self.lease = Lease(hostname, generation, self.clock.now() + timedelta(seconds=seconds), None)
            return self.lease

    async def release_lease(self, lease: Lease) -> None:
        with self._call("release_lease"):
            self.released.append(lease)

    @asynccontextmanager
    async def changes(self, on_change: Callable[[], None]) -> AsyncIterator[None]:
        yield

    @contextmanager
    def _call(self, method: str) -> Iterator[None]:
        self.calls[method] += 1
        if self.failure:
            raise self.failure
        if waiting := self.refused.get(method):
            raise waiting.popleft()
        yield
        if waiting := self.lost.get(method):
            raise waiting.popleft()

    def _row(self, election_id: int) -> Row:
        if election_id not in self.rows:
            raise PermanentError("ElectionGone", f"there is no election {election_id}")
        return self.rows[election_id]

    def _require_lease(self, generation: int) -> None:
        if self.lease is None or self.lease.generation != generation:
            raise PermanentError("PublicationRefused", "the lease is another's")

    def _require_plans(self, block0_hash: str, by_plan: dict[str, Any]) -> None:
        if {plan.id for plan in self.published[block0_hash].plans} != by_plan.keys():
            raise PermanentError("PlansDiffer", "these are not the plans that were published")

    def _is_closed(self, row: Row) -> bool:
        hash_ = row.block0[0].hash if row.block0 else None
        return any(archive.block0_hash == hash_ and archive.kind is ArchiveKind.FINAL for archive in self.archives)

    def _election(self, row: Row) -> ElectionOverview:
        spec, publication = row.spec, row.block0[0] if row.block0 else None
        return ElectionOverview(
            id=spec.id,
            name=spec.name,
            voting_start=spec.voting_start,
            voting_end=spec.voting_end,
            tallying_end=spec.tallying_end,
            revision=spec.revision,
            fingerprint=spec.fingerprint,
            cancelled=row.cancelled,
            block0=_reference(publication) if publication else None,
            results_posted=bool(publication and publication.hash in self.posted),
            archived=False,
        )


def _reference(publication: Publication) -> Block0Ref:
    return Block0Ref(
        hash=publication.hash,
        size=publication.size,
        fingerprint=publication.fingerprint,
        generation=publication.generation,
        dates=publication.dates,
    )
