"""The election database in memory: its rules as tests/database has them, and failures around an effect."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn
from uuid import uuid4

from node_fsm.core.cluster import ChainCopy, ChainStatement, Lease, Neighbour, NodeReport
from node_fsm.core.committee import PostedShare, Results, SavedSnapshot
from node_fsm.core.errors import PermanentError, ServiceError, TemporaryError
from node_fsm.core.model import (
    ArchiveKind,
    Block0Ref,
    DisputedTally,
    ElectionOverview,
    ElectionSpec,
    JournalEntry,
    NodeRow,
    Overview,
    PlanResult,
    Publication,
    Published,
    StoredArchive,
    UnreadableElection,
    VotePlan,
)
from node_fsm.database.results import hash_of
from node_fsm.database.shares import results_differ, snapshot_unknown
from node_fsm.ports import Clock
from tests.support.memory_lease import HeldLease
from tests.support.memory_votes import MemoryVotes

DATABASE_AWAY = TemporaryError("DatabaseUnavailable", "the database does not answer")


@dataclass
class Row:
    """An election's row: what was specified, its voters as (address, group, power), and the block 0 that stands.

    With *fault* the row cannot be read.
    """

    spec: ElectionSpec
    voters: list[tuple[str, str, int]]
    block0: tuple[Publication, bytes] | None = None
    fault: str | None = None
    _cancelled: bool = False

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    @cancelled.setter
    def cancelled(self, cancelled: bool) -> None:
        self._cancelled = cancelled
        self.edit()

    def edit(self, **changes: Any) -> None:
        """Change the specification as an operator does."""
        self.spec = replace(self.spec, revision=self.spec.revision + 1, **changes)


@dataclass
class MemoryDatabase(MemoryVotes):
    """While *failure* is set every call raises it.

    ``refused[name]`` are raised one by one by the method of that name without an effect, ``lost[name]`` after it:
    the answer is lost, the effect is not. One object is one process to the lease.
    """

    clock: Clock
    rows: dict[int, Row] = field(default_factory=dict)
    nodes: list[NodeRow] = field(default_factory=list)
    failure: ServiceError | None = None
    refused: dict[str, deque[ServiceError]] = field(default_factory=dict)
    lost: dict[str, deque[ServiceError]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    published: dict[str, Publication] = field(default_factory=dict)
    specified: dict[str, ElectionSpec] = field(default_factory=dict)
    canonical: dict[str, ElectionSpec] = field(default_factory=dict)
    """What was specified, by its canonical text."""
    withdrawn: set[str] = field(default_factory=set)
    snapshots: dict[str, dict[str, Any]] = field(default_factory=dict)
    posted_shares: list[tuple[str, PostedShare]] = field(default_factory=list)
    """With the block 0 of each."""
    opened: dict[str, dict[str, Results]] = field(default_factory=dict)
    posted: dict[str, tuple[PlanResult, ...]] = field(default_factory=dict)
    disputes: dict[str, DisputedTally] = field(default_factory=dict)
    confirmed: set[str] = field(default_factory=set)
    archives: list[StoredArchive] = field(default_factory=list)
    blocks: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    """By block 0 and run id of an archive the ids of its blocks with fragments."""
    counted: dict[tuple[str, str], frozenset[bytes]] = field(default_factory=dict)
    """The same, the keys of its votes."""
    journalled: list[JournalEntry] = field(default_factory=list)
    statuses: dict[str, NodeReport] = field(default_factory=dict)
    copies: dict[str, dict[str, ChainCopy]] = field(default_factory=dict)
    leases: list[HeldLease] = field(default_factory=list)
    process: str = field(default_factory=lambda: uuid4().hex)

    @property
    def lease(self) -> HeldLease | None:
        """The one row of the lease."""
        return self.leases[0] if self.leases else None

    @lease.setter
    def lease(self, lease: HeldLease) -> None:
        self.leases[:] = [lease]

    def forget(self, election_id: int) -> None:
        """Be a copy of before anything was published for that election."""
        self.rows[election_id].block0 = None
        for hash_ in [hash_ for hash_, of in self.published.items() if of.election_id == election_id]:
            del self.published[hash_], self.specified[hash_]

    def another_process(self) -> "MemoryDatabase":
        """The same database, as a service that was started anew has it."""
        return replace(self, process=uuid4().hex)

    async def overview(self, hashes: Collection[str]) -> Overview:
        with self._call("overview"):
            rows = sorted(self.rows.values(), key=lambda row: (row.spec.voting_start, row.spec.id))
            now = self.clock.now()
            ended = [row for row in rows if not row.block0 and row.spec.voting_end <= now]
            listed = [row for row in rows if row not in ended and not self._is_closed(row)]
            missed = [row for row in ended if not row.cancelled]
            return Overview(
                elections=tuple(self._election(row) for row in listed if not row.fault),
                missed=tuple(self._election(row) for row in missed if not row.fault),
                nodes=tuple(sorted(self.nodes, key=lambda node: node.hostname)),
                archived=frozenset(
                    archive.block0_hash
                    for archive in self.archives
                    if archive.kind in {ArchiveKind.FINAL, ArchiveKind.SUPERSEDED}
                )
                & frozenset(hashes),
                withdrawn=frozenset(self.withdrawn) & frozenset(hashes),
                database_time=now,
                unreadable=tuple(
                    UnreadableElection(row.spec.id, row.spec.name, row.fault) for row in (*listed, *missed) if row.fault
                ),
                lost=self._lost(),
                disputed=tuple(
                    tally for block0_hash, tally in self.disputes.items() if block0_hash not in self.confirmed
                ),
            )

    async def specification(self, election_id: int) -> ElectionSpec:
        with self._call("specification"):
            row = self._row(election_id)
            if row.fault:
                raise PermanentError("RowUnreadable", row.fault)
            return row.spec

    async def funds(self, election_id: int, power_unit: int) -> AsyncIterator[list[tuple[str, int]]]:
        with self._call("funds"):
            sums: Counter[str] = Counter()
            for address, _, power in self._row(election_id).voters:
                sums[address] += power // power_unit
            yield [(address, units) for address, units in sums.items() if units]

    async def tokens(
        self, election_id: int, voting_group: str, power_unit: int
    ) -> AsyncIterator[list[tuple[str, int]]]:
        with self._call("tokens"):
            voters = self._row(election_id).voters
            of_group = [(address, power // power_unit) for address, group, power in voters if group == voting_group]
            yield [(address, units) for address, units in of_group if units]

    async def drift(self, election_id: int, block0_hash: str) -> str:
        """The names of the columns that differ."""
        with self._call("drift"):
            present = self._row(election_id).spec
            if block0_hash not in self.specified:
                raise PermanentError("Block0Unknown", f"no specification was published with block 0 {block0_hash}")
            published = self.specified[block0_hash]
            names = (field.name for field in fields(published) if field.name not in {"revision", "fingerprint"})
            return "; ".join(name for name in names if getattr(present, name) != getattr(published, name))

    async def publish_block0(self, publication: Publication, block0: Path, entry: JournalEntry) -> None:
        with self._call("publish_block0"):
            data = _read(publication, block0)
            row = self._row(publication.election_id)
            if row.block0 and row.block0[0].hash == publication.hash:
                return
            if row.block0:
                raise _refused(f"block 0 {row.block0[0].hash} stands there already")
            self._require_unpublished(publication)
            if publication.revision != row.spec.revision:
                raise _refused("the election was edited while its block 0 was made")
            self._require_lease(publication.generation)
            row.block0 = (publication, data)
            self.published[publication.hash] = publication
            self.specified[publication.hash] = row.spec
            self._write(entry)

    async def publication(self, block0_hash: str) -> Published | None:
        with self._call("publication"):
            published, spec = self.published.get(block0_hash), self.specified.get(block0_hash)
            if published is None or spec is None:
                return None
            canonical = f"revision {spec.revision} of {spec.id}"
            self.canonical[canonical] = spec
            return Published(published.plans, canonical)

    async def restore_block0(
        self, publication: Publication, block0: Path, entry: JournalEntry, specification: str
    ) -> None:
        with self._call("restore_block0"):
            data = _read(publication, block0)
            row = self._row(publication.election_id)
            if row.block0 and row.block0[0].hash == publication.hash:
                return
            if row.block0:
                raise _refused(f"block 0 {row.block0[0].hash} stands there now")
            if publication.hash in self.withdrawn:
                raise _refused("it was withdrawn")
            if publication.hash not in self.published:
                self._require_unpublished(publication)
            self._require_lease(publication.generation)
            if publication.hash not in self.published:
                self.published[publication.hash] = publication
                self.specified[publication.hash] = self.canonical[specification]
            row.block0 = (replace(self.published[publication.hash], generation=publication.generation), data)
            self._write(entry)

    async def withdraw_block0(self, election_id: int, block0_hash: str, generation: int, entry: JournalEntry) -> None:
        with self._call("withdraw_block0"):
            row = self._row(election_id)
            published = self.published.get(block0_hash)
            if published is None or published.election_id != election_id:
                raise PermanentError("Block0Unknown", f"election {election_id} never had a block 0 {block0_hash}")
            stands = row.block0 is not None and row.block0[0].hash == block0_hash
            if block0_hash in self.withdrawn and not stands:
                return
            if block0_hash in self.posted:
                raise PermanentError("ElectionCounted", f"block 0 {block0_hash} stays: results of its chain stand")
            self._require_lease(generation)
            if stands:
                row.block0 = None
            self.withdrawn.add(block0_hash)
            self._write(entry)

    async def download_block0(self, election_id: int, block0_hash: str, target: Path) -> None:
        with self._call("download_block0"):
            row = self.rows.get(election_id)
            if row is None or row.block0 is None or row.block0[0].hash != block0_hash:
                raise PermanentError("Block0Missing", f"election {election_id} has no block 0 {block0_hash} any more")
            target.write_bytes(row.block0[1])

    async def vote_plans(self, block0_hash: str) -> tuple[VotePlan, ...]:
        with self._call("vote_plans"):
            return self._plans(block0_hash)

    async def save_tally_snapshot(
        self, block0_hash: str, snapshots: dict[str, Any], *, anew: bool = False
    ) -> dict[str, Any]:
        with self._call("save_tally_snapshot"):
            self._require_plans(block0_hash, snapshots)
            has_shares = any(hash_ == block0_hash for hash_, _ in self.posted_shares)
            if (anew or self._open_dispute(block0_hash)) and not has_shares:
                self.snapshots[block0_hash] = snapshots
            return self.snapshots.setdefault(block0_hash, snapshots)

    async def tally_snapshots(self, block0_hash: str) -> tuple[SavedSnapshot, ...]:
        with self._call("tally_snapshots"):
            return self.snapshots_of(block0_hash)

    async def post_shares(self, block0_hash: str, shares: Sequence[PostedShare]) -> None:
        with self._call("post_shares"):
            standing = {snapshot.plan_id: snapshot.hash for snapshot in self.snapshots_of(block0_hash)}
            for share in shares:
                if standing.get(share.plan_id) != share.snapshot_hash:
                    raise snapshot_unknown(share, standing.get(share.plan_id))
            known = {replace(share, posted_at=None) for hash_, share in self.posted_shares if hash_ == block0_hash}
            self.posted_shares += [
                (block0_hash, replace(share, posted_at=self.clock.now()))
                for share in shares
                if replace(share, posted_at=None) not in known
            ]

    async def shares(self, block0_hash: str) -> tuple[PostedShare, ...]:
        with self._call("shares"):
            return tuple(share for hash_, share in self.posted_shares if hash_ == block0_hash)

    async def save_decrypted(self, block0_hash: str, results: Mapping[str, Results]) -> None:
        with self._call("save_decrypted"):
            standing = self.opened.setdefault(block0_hash, {})
            for plan_id, votes in results.items():
                if standing.get(plan_id, votes) != votes:
                    raise results_differ(plan_id)
            standing |= results

    async def decrypted(self, block0_hash: str) -> dict[str, Results]:
        with self._call("decrypted"):
            return dict(self.opened.get(block0_hash, {}))

    def snapshots_of(self, block0_hash: str) -> tuple[SavedSnapshot, ...]:
        printed = self.snapshots.get(block0_hash, {})
        return tuple(
            SavedSnapshot(plan.id, printed[plan.id], hash_of(printed[plan.id]))
            for plan in self._plans(block0_hash)
            if plan.id in printed
        )

    async def post_results(
        self,
        election_id: int,
        block0_hash: str,
        results: Sequence[PlanResult],
        entry: JournalEntry,
        *,
        disputed: str | None = None,
        untallied: Collection[str] = (),
    ) -> None:
        with self._call("post_results"):
            by_plan = {result.plan_id: result for result in results}
            self._require_plans(block0_hash, [*by_plan, *untallied])
            plans = [plan for plan in self._plans(block0_hash) if plan.id in by_plan]
            ordered = tuple(by_plan[plan.id] for plan in plans)
            standing = self.posted.get(block0_hash)
            if standing and not self._open_dispute(block0_hash):
                if standing != ordered:
                    raise PermanentError("ResultsDiffer", f"other results of block 0 {block0_hash} stand")
                return
            if standing == ordered and disputed:
                return
            for plan, result in zip(plans, ordered, strict=True):
                if [len(votes) for votes in result.votes] != [len(proposal.options) for proposal in plan.proposals]:
                    raise PermanentError("PlansDiffer", f"{plan.id} has other proposals or options than were published")
            self.posted[block0_hash] = ordered
            self.disputes.pop(block0_hash, None)
            if disputed:
                self.disputes[block0_hash] = DisputedTally(self._row(election_id).spec.name, block0_hash, disputed)
            self._write(entry)

    async def results(self, block0_hash: str) -> tuple[PlanResult, ...]:
        with self._call("results"):
            return self.posted.get(block0_hash, ())

    async def disputed(self, block0_hash: str) -> str | None:
        with self._call("disputed"):
            return self._open_dispute(block0_hash)

    async def tally_confirmed(self, block0_hash: str) -> bool:
        with self._call("tally_confirmed"):
            return block0_hash in self.confirmed

    async def save_archive(
        self, archive: StoredArchive, entry: JournalEntry, blocks: Sequence[str] = (), votes: Sequence[bytes] = ()
    ) -> None:
        with self._call("save_archive"):
            key = (archive.block0_hash, archive.run_id)
            standing = next((kept for kept in self.archives if (kept.block0_hash, kept.run_id) == key), None)
            if standing is None:
                self.archives.append(archive)
                self._write(entry)
            elif standing.manifest != archive.manifest:
                raise PermanentError("ArchiveDiffers", f"run {archive.run_id} stands with another manifest")
            self.blocks.setdefault(key, frozenset(blocks))
            self.counted.setdefault(key, frozenset(votes))

    async def archive(self, block0_hash: str) -> StoredArchive | None:
        with self._call("archive"):
            found = [archive for archive in self.archives if archive.block0_hash == block0_hash]
            order = [ArchiveKind.SUPERSEDED, ArchiveKind.FINAL]
            return max(
                found,
                key=lambda kept: (order.index(kept.kind) if kept.kind in order else -1, kept.verified_at),
                default=None,
            )

    async def archived_blocks(self, block0_hash: str) -> frozenset[str]:
        with self._call("archived_blocks"):
            return frozenset().union(*(ids for (of, _), ids in self.blocks.items() if of == block0_hash))

    async def counted_votes(self, block0_hash: str) -> frozenset[bytes]:
        with self._call("counted_votes"):
            finals = [kept for kept in self.archives if (kept.block0_hash, kept.kind) == (block0_hash, "final")]
            newest = max(finals, key=lambda kept: kept.verified_at, default=None)
            return self.counted[(block0_hash, newest.run_id)] if newest else frozenset()

    async def journal(self, entries: Sequence[JournalEntry]) -> None:
        with self._call("journal"):
            for entry in entries:
                self._write(entry)

    async def report_status(self, report: NodeReport) -> None:
        with self._call("report_status"):
            self.statuses[report.hostname] = report
            if report.block0_hash and report.holds_chain:
                assert report.height is not None
                copy = ChainCopy(report.hostname, report.height, lost=False, is_leader=True)
                self.copies.setdefault(report.block0_hash, {})[report.hostname] = copy

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
                _neighbour(report)
                for _, report in sorted(self.statuses.items())
                if report.block0_hash == block0_hash and report.hostname != hostname
                if report.height is not None and report.tip is not None
            )

    async def announce(self, hostname: str, p2p_address: str | None) -> None:
        with self._call("announce"):
            self.nodes[:] = [
                replace(node, p2p_address=p2p_address) if node.hostname == hostname else node for node in self.nodes
            ]

    async def acquire_lease(self, hostname: str, instance: str, seconds: float) -> Lease | None:
        with self._call("acquire_lease"):
            now = self.clock.now()
            until = now + timedelta(seconds=seconds)
            held = self.lease
            if held and not held.is_free_for(hostname, instance, now):
                return None
            taken = (
                held.taken(hostname, instance, self.process, until)
                if held
                else HeldLease(hostname, instance, self.process, 1, until)
            )
            self.lease = taken
            return taken.as_lease()

    async def release_lease(self, lease: Lease) -> None:
        with self._call("release_lease"):
            if self.lease:
                self.lease = self.lease.released(lease)

    async def listen(
        self, on_change: Callable[[], None], on_problem: Callable[[tuple[str, str] | None], None]
    ) -> NoReturn:
        """Nobody tells of changes here; scans find them."""
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    def _open_dispute(self, block0_hash: str) -> str | None:
        dispute = self.disputes.get(block0_hash)
        return dispute.why if dispute and block0_hash not in self.confirmed else None

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

    def _plans(self, block0_hash: str) -> tuple[VotePlan, ...]:
        published = self.published.get(block0_hash)
        return published.plans if published else ()

    def _require_lease(self, generation: int) -> None:
        lease = self.lease
        if (
            lease is None
            or (lease.generation, lease.stopped, lease.unconfirmed_holder) != (generation, False, None)
            or lease.expires_at <= self.clock.now()
        ):
            raise _refused("the right to publish has expired or gone to another process")

    def _require_plans(self, block0_hash: str, plan_ids: Collection[str]) -> None:
        plans = sorted(plan.id for plan in self._plans(block0_hash))
        if not plans or plans != sorted(plan_ids):
            raise PermanentError("PlansDiffer", "these are not the plans that were published")

    def _write(self, entry: JournalEntry) -> None:
        """Into the journal, unless this hostname wrote of the same event at the same time."""
        if _identity(entry) not in map(_identity, self.journalled):
            self.journalled.append(entry)

    def _require_unpublished(self, publication: Publication) -> None:
        for earlier in self.published.values():
            if earlier.election_id != publication.election_id:
                continue
            if earlier.hash not in self.withdrawn:
                raise _refused(f"block 0 {earlier.hash} vanished without being withdrawn")
            if earlier.hash == publication.hash:
                raise _refused(f"block 0 {earlier.hash} was withdrawn: votes of that chain would count again")

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


def _refused(why: str) -> PermanentError:
    return PermanentError("PublicationRefused", why)


def _read(publication: Publication, block0: Path) -> bytes:
    data = block0.read_bytes()
    if len(data) != publication.size:
        raise PermanentError("Block0Differs", f"{block0} has {len(data)} bytes, not {publication.size}")
    return data


def _identity(entry: JournalEntry) -> object:
    return entry.hostname, entry.at, entry.event, entry.election_id


def _neighbour(report: NodeReport) -> Neighbour:
    assert report.height is not None
    assert report.tip is not None
    said = report.statement or ChainStatement((), (), None)
    return Neighbour(
        hostname=report.hostname,
        height=report.height,
        tip=report.tip,
        conditions=report.conditions,
        marks=said.marks,
        apart=said.apart,
        last_counted=said.last_counted,
        updated_at=report.updated_at,
    )


def _reference(publication: Publication) -> Block0Ref:
    return Block0Ref(
        hash=publication.hash,
        size=publication.size,
        fingerprint=publication.fingerprint,
        generation=publication.generation,
        dates=publication.dates,
    )
