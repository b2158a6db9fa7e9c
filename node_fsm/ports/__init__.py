"""What the phases need of the outside world, as Protocols: database, S3, jcli, node and clock.

Adapters raise :class:`~node_fsm.core.errors.TemporaryError` when the outside did not answer and
:class:`~node_fsm.core.errors.PermanentError` when a person must mend something. A method whose effect is in doubt
may be called again: each is idempotent, or refuses with what stands there already.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from node_fsm.core.chain_time import BlockDate, ChainClock
from node_fsm.core.model import (
    ArchiveRecord,
    ChainCopy,
    ElectionSpec,
    JournalEntry,
    Lease,
    Neighbour,
    Overview,
    Payer,
    PlanResult,
    Publication,
    SignedFragment,
    StatusReport,
    VotePlan,
)
from node_fsm.core.secret import Secret
from node_fsm.ports.answers import Account, FragmentStatus, Posted, VotePlanStatus
from node_fsm.storage.workspace import ChainDirectory


class Clock(Protocol):
    """The wall clock, for schedules. Timers use the event loop's monotonic clock."""

    def now(self) -> datetime: ...


class Database(Protocol):
    """The election database. Only its adapter knows tables and SQL."""

    async def overview(self, hashes: Collection[str]) -> Overview:
        """One narrow reading; *hashes* are the block 0 hashes to report as archived or withdrawn."""
        ...

    async def specification(self, election_id: int) -> ElectionSpec:
        """All that was specified for one election; PermanentError when its row is gone."""
        ...

    def funds(self, election_id: int, power_unit: int) -> AsyncIterator[list[tuple[str, int]]]:
        """Batches of (address, units summed over groups), by voting key; voters below one unit are left out."""
        ...

    def tokens(self, election_id: int, voting_group: str, power_unit: int) -> AsyncIterator[list[tuple[str, int]]]:
        """Batches of (address, units) of one group, by voting key; voters below one unit are left out."""
        ...

    async def publish_block0(self, publication: Publication, block0: Path) -> None:
        """Publish block 0 and its plans in one transaction.

        Only when no block 0 stands there, the revision is the one read, and the lease generation is the current
        one. PermanentError ``PublicationRefused`` says which of these failed; publishing the same again is a no-op.
        """
        ...

    async def restore_block0(self, publication: Publication, block0: Path) -> None:
        """Put back a block 0 that vanished although its plans were not withdrawn; the revision does not matter."""
        ...

    async def download_block0(self, election_id: int, block0_hash: str, target: Path) -> None:
        """Write the published block 0 to *target*, whole or not at all; the caller checks its hash."""
        ...

    async def withdraw_block0(self, election_id: int, block0_hash: str, generation: int) -> None:
        """Remove exactly this block 0 and mark its plans withdrawn; withdrawn already is a no-op."""
        ...

    async def vote_plans(self, block0_hash: str) -> tuple[VotePlan, ...]:
        """The plans published with this block 0, by index."""
        ...

    async def save_tally_snapshot(self, block0_hash: str, snapshots: dict[str, Any]) -> dict[str, Any]:
        """Store the node's account of each plan (by plan id) once; returns what stands there, ours or an earlier."""
        ...

    async def post_results(self, election_id: int, block0_hash: str, results: Sequence[PlanResult]) -> None:
        """Write the results of all plans in one transaction; the same again is a no-op, PermanentError if different."""
        ...

    async def results(self, block0_hash: str) -> tuple[PlanResult, ...]:
        """The posted results by plan index; empty when there are none."""
        ...

    async def record_archive(self, archive: ArchiveRecord) -> None:
        """Write an archive's row; the same again is a no-op."""
        ...

    async def archive(self, block0_hash: str) -> ArchiveRecord | None:
        """The verified archive of this chain, final before any other kind."""
        ...

    async def journal(self, entries: Sequence[JournalEntry]) -> None:
        """Append to ``phase_journal``; an entry that stands there already is not written twice."""
        ...

    async def report_status(self, report: StatusReport) -> None:
        """Write this node's row of ``node_status``, and how much of the chain its machine holds if that is known."""
        ...

    async def drift(self, election_id: int, block0_hash: str) -> str:
        """What differs between the specification that was published and the present one, in a few words."""
        ...

    async def chain_copies(self, block0_hash: str) -> tuple[ChainCopy, ...]:
        """What all nodes ever reported to hold of this chain, by hostname."""
        ...

    async def record_copy(self, block0_hash: str, hostname: str, *, lost: bool) -> None:
        """Say that the chain is gone from that machine, or (again) on it; how much of it was known stays known."""
        ...

    async def neighbours(self, block0_hash: str, hostname: str) -> tuple[Neighbour, ...]:
        """What the nodes of this chain other than *hostname* reported, as far as they have a tip, by hostname."""
        ...

    async def announce(self, hostname: str, p2p_address: str | None) -> None:
        """Write the multiaddr that peers are told into this node's row of ``jorm_nodes``, if it has one."""
        ...

    async def acquire_lease(self, hostname: str, instance: str, seconds: float) -> Lease | None:
        """Take or renew the right to publish for *seconds*; None while another holder's has not expired.

        *instance* names the storage directory (one process at a time): the same instance renews at once, also
        after a crash, under a new generation when the process is new.
        """
        ...

    async def release_lease(self, lease: Lease) -> None:
        """Say that this holder has stopped, its node included."""
        ...

    def changes(self, on_change: Callable[[], None]) -> AbstractAsyncContextManager[None]:
        """Call *on_change* for every notification of a change, and after each reconnection, while entered."""
        ...


class ObjectStore(Protocol):
    """S3. URIs have the form ``s3://bucket/key``."""

    async def read(self, uri: str, limit: int) -> bytes:
        """The object's bytes; PermanentError when it is missing, forbidden or larger than *limit* bytes."""
        ...

    async def write_once(self, uri: str, data: bytes) -> bool:
        """Create the object; False when one is there already."""
        ...

    async def upload(self, uri: str, chunks: AsyncIterator[bytes]) -> None:
        """Stream to a multipart upload; nothing is left behind when it fails."""
        ...

    def download(self, uri: str) -> AsyncIterator[bytes]:
        """The object's bytes in chunks; PermanentError when it is missing or forbidden."""
        ...


class Jcli(Protocol):
    """The jcli commands that the phases use. Keys go over standard input, never into arguments."""

    async def version(self) -> str: ...
    async def public_key(self, secret: Secret) -> str: ...
    async def new_vote_plan(self, plan: Path, certificate: Path) -> None: ...
    async def sign_certificate(self, certificate: Path, secret: Secret, signed: Path) -> None: ...
    async def vote_plan_id(self, certificate: Path) -> str: ...
    async def genesis_encode(self, genesis: Path, block0: Path) -> None: ...
    async def genesis_hash(self, block0: Path) -> str: ...
    async def public_tally_certificate(self, plan_id: str) -> str: ...

    async def transaction(
        self,
        certificate: str,
        payer: Payer,
        *,
        block0_hash: str,
        expiry: BlockDate,
        directory: Path,
        authority: Secret | None = None,
    ) -> SignedFragment:
        """A fee-free transaction that carries *certificate*; *authority* signs the certificate of a tally."""
        ...


class NodeState(Protocol):
    """How the node is; what is not known is None."""

    @property
    def running(self) -> bool:
        """Whether it answers and runs the required chain."""
        ...

    @property
    def starts(self) -> int:
        """How often a node has been started."""
        ...

    @property
    def pid(self) -> int | None: ...
    @property
    def block0_hash(self) -> str | None: ...
    @property
    def height(self) -> int | None: ...
    @property
    def tip(self) -> str | None: ...
    @property
    def tip_date(self) -> BlockDate | None: ...
    @property
    def last_block_time(self) -> datetime | None: ...
    @property
    def peers_connected(self) -> int: ...
    @property
    def stalled_since(self) -> datetime | None: ...
    @property
    def problem(self) -> tuple[str, str] | None:
        """(reason, message) of what keeps it from running."""
        ...


class NodeApi(Protocol):
    """The node's REST interface, as far as phases use it."""

    async def next_ids(self, block_id: str, count: int) -> list[str] | None: ...
    async def block(self, block_id: str) -> bytes | None: ...
    async def account(self, public_key: str) -> Account | None: ...
    async def vote_plans(self) -> dict[str, VotePlanStatus]: ...
    async def post_fragment(self, raw: bytes) -> Posted: ...
    async def post_fragments(self, fragments: Sequence[bytes]) -> tuple[Posted, ...]: ...
    async def fragment_statuses(self, fragment_ids: Collection[str]) -> dict[str, FragmentStatus]: ...


@dataclass(frozen=True, slots=True)
class ChainRun:
    """The chain that the node must run.

    *directory* takes its files; *peers* are multiaddrs of other leaders; *seed* marks the one node that goes on
    by itself when it reaches none of them. *secret* is asked before every start, None for a follower. *held* says
    whether the node's store had blocks when this was decided: a seed that lost them since must not go on.
    """

    directory: ChainDirectory
    block0_hash: str
    clock: ChainClock
    peers: tuple[str, ...]
    seed: bool
    secret: Callable[[], Awaitable[Secret | None]] = field(compare=False)
    held: bool = field(compare=False)


class Node(Protocol):
    """The one node process, kept by its supervisor."""

    @property
    def state(self) -> NodeState: ...
    @property
    def api(self) -> NodeApi: ...

    def require(self, run: ChainRun) -> None:
        """Say which chain must run; may be said again at any time."""
        ...

    def overtaken(self, by_others: bool) -> None:
        """Say whether other nodes have blocks of the chain that this one lacks: a standstill is then its own fault."""
        ...

    async def ready(self, timeout: float) -> None:
        """Wait until it runs; TemporaryError saying what holds it up after *timeout* seconds."""
        ...

    async def records(self) -> dict[str, bytes]:
        """What the node says at the end of an election, by file name, each answer as it printed it."""
        ...

    async def version(self) -> str:
        """The executable's full version."""
        ...

    async def stop(self) -> None:
        """Stop the node and wait until nothing of it is left."""
        ...
