"""The election database, as phases and engine use it, in parts."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol

from node_fsm.core.cluster import ChainCopy, Lease, Neighbour, NodeReport
from node_fsm.core.committee import PostedShare, Results, SavedSnapshot
from node_fsm.core.model import (
    ElectionSpec,
    JournalEntry,
    Overview,
    PlanResult,
    Publication,
    Published,
    SignedFragment,
    StoredArchive,
    UncountedVote,
    VotePlan,
)


class Elections(Protocol):
    """What operators specified."""

    async def overview(self, hashes: Collection[str]) -> Overview:
        """One narrow reading; *hashes* are the block 0 hashes to report as archived or withdrawn.

        A row that cannot be read is left out and named. Fingerprints that take a reading of all voters are not waited
        for: they are None until ``listen`` calls for the next reading.
        """
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

    async def drift(self, election_id: int, block0_hash: str) -> str:
        """What differs between the specification that was published and the present one, in a few words."""
        ...


class Publications(Protocol):
    """Published chains. Each *entry* is written into the journal together with what it tells, so that none is lost."""

    async def publish_block0(self, publication: Publication, block0: Path, entry: JournalEntry) -> None:
        """Publish block 0 and its plans in one transaction.

        Only when no block 0 stands there, the revision is the one read, and the lease generation is the current
        one. PermanentError ``PublicationRefused`` says which of these failed; publishing the same again is a no-op.
        """
        ...

    async def restore_block0(
        self, publication: Publication, block0: Path, entry: JournalEntry, specification: str
    ) -> None:
        """Put back a block 0 that vanished although its plans were not withdrawn; the revision does not matter.

        Plans and *specification* (canonical text) that are gone as well are written anew. PermanentError
        ``PublicationRefused`` when it was withdrawn, or another chain stands or stood there and was not.
        """
        ...

    async def publication(self, block0_hash: str) -> Published | None:
        """What was published with this block 0; None when the database does not know it, or not all of it."""
        ...

    async def withdraw_block0(self, election_id: int, block0_hash: str, generation: int, entry: JournalEntry) -> None:
        """Remove exactly this block 0 and mark its plans withdrawn; withdrawn already is a no-op."""
        ...

    async def download_block0(self, election_id: int, block0_hash: str, target: Path) -> None:
        """Write the published block 0 to *target*, whole or not at all; the caller checks its hash."""
        ...

    async def vote_plans(self, block0_hash: str) -> tuple[VotePlan, ...]:
        """The plans published with this block 0, by index; empty when it never was published."""
        ...


class Records(Protocol):
    """What is recorded once when a chain ends; each *entry* goes into the journal together with it."""

    async def save_tally_snapshot(
        self, block0_hash: str, snapshots: dict[str, Any], *, anew: bool = False
    ) -> dict[str, Any]:
        """Store the node's account of each plan (by plan id) once; returns what stands there, ours or an earlier.

        Ours takes the place of an earlier one if that is to be made *anew*, or results stand that are disputed, as
        :meth:`disputed` has it; but never of one that a share was posted of.
        """
        ...

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
        """Write the results of all plans in one transaction; the same again is a no-op, PermanentError if different.

        *disputed* says why no majority of the leaders confirmed the chain that was counted. Results that stand
        disputed, as :meth:`disputed` has it, give way to any others. *untallied* are the plans without a result:
        the votes in them stay encrypted.
        """
        ...

    async def disputed(self, block0_hash: str) -> str | None:
        """Why the posted results are disputed; None when they are not, or a person has confirmed them."""
        ...

    async def tally_confirmed(self, block0_hash: str) -> bool:
        """Whether a person has confirmed the chain, as leader 0 has it, for the tally."""
        ...

    async def results(self, block0_hash: str) -> tuple[PlanResult, ...]:
        """The posted results by plan index; empty when there are none."""
        ...

    async def save_archive(
        self, archive: StoredArchive, entry: JournalEntry, blocks: Sequence[str] = (), votes: Sequence[bytes] = ()
    ) -> None:
        """Write an archive's row, the ids of its *blocks* that hold fragments, and the keys of its *votes*.

        The same again is a no-op.

        PermanentError ``ArchiveDiffers`` when another manifest stands there.
        """
        ...

    async def archive(self, block0_hash: str) -> StoredArchive | None:
        """The verified archive of this chain: final, else superseded, else the newest of another kind."""
        ...

    async def archived_blocks(self, block0_hash: str) -> frozenset[str]:
        """The ids of all blocks with fragments that verified archives of this chain hold, of whatever kind."""
        ...

    async def counted_votes(self, block0_hash: str) -> frozenset[bytes]:
        """The keys of the votes that the final archive of this chain counts; none when there is no such archive."""
        ...


class Shares(Protocol):
    """What private votes are opened with, and what came of it."""

    async def tally_snapshots(self, block0_hash: str) -> tuple[SavedSnapshot, ...]:
        """What ``save_tally_snapshot`` stored, by plan index; empty before."""
        ...

    async def post_shares(self, block0_hash: str, shares: Sequence[PostedShare]) -> None:
        """Add shares to those that stand there; the same again is a no-op.

        PermanentError ``SnapshotUnknown`` when one was not made of a snapshot that stands there.
        """
        ...

    async def shares(self, block0_hash: str) -> tuple[PostedShare, ...]:
        """All shares that were posted, unchecked, the first first."""
        ...

    async def save_decrypted(self, block0_hash: str, results: Mapping[str, Results]) -> None:
        """Keep the decrypted votes of private plans, by plan id; PermanentError ``ResultsDiffer`` if others stand."""
        ...

    async def decrypted(self, block0_hash: str) -> dict[str, Results]:
        """What ``save_decrypted`` kept, by plan id."""
        ...


class Cluster(Protocol):
    """What nodes write and read about each other."""

    async def journal(self, entries: Sequence[JournalEntry]) -> None:
        """Append to ``phase_journal``; an entry that stands there already is not written twice."""
        ...

    async def report_status(self, report: NodeReport) -> None:
        """Write this node's row of ``node_status``, and how much of the chain its machine holds if that is known."""
        ...

    async def announce(self, hostname: str, p2p_address: str | None) -> None:
        """Write the multiaddr that peers are told into this node's row of ``jorm_nodes``, if it has one."""
        ...

    async def neighbours(self, block0_hash: str, hostname: str) -> tuple[Neighbour, ...]:
        """What the nodes of this chain other than *hostname* reported, as far as they have a tip, by hostname."""
        ...

    async def chain_copies(self, block0_hash: str) -> tuple[ChainCopy, ...]:
        """What all nodes ever reported to hold of this chain, by hostname."""
        ...

    async def save_chain_copy(self, block0_hash: str, hostname: str, *, lost: bool) -> None:
        """Say that the chain is gone from that machine, or (again) on it; how much of it was known stays known."""
        ...


class Votes(Protocol):
    """Votes that a node has and the chain has not."""

    async def hand_over(self, block0_hash: str, hostname: str, fragments: Sequence[SignedFragment]) -> None:
        """Give fragments to the other nodes of the chain, which post them: those that were settled are open again."""
        ...

    async def handed_over(
        self, block0_hash: str, hostname: str, known: Collection[str], limit: int
    ) -> tuple[SignedFragment, ...]:
        """Up to *limit* of what other nodes handed over and is not settled, beside what is *known*, the first first."""
        ...

    async def resolve_handover(self, block0_hash: str, fragment_ids: Collection[str] | None = None) -> None:
        """Say that nobody needs to post these any more, or any of the chain: in blocks, expired, or voting is over."""
        ...

    async def report_uncounted(
        self, election_id: int, election_name: str, block0_hash: str, hostname: str, votes: Sequence[UncountedVote]
    ) -> None:
        """Write which votes this node knows to be lost: exactly *votes*, in the place of what it wrote before."""
        ...

    async def add_uncounted(
        self, election_id: int, election_name: str, block0_hash: str, hostname: str, votes: Sequence[UncountedVote]
    ) -> None:
        """Write that these are lost as well; what this node wrote of one before stays."""
        ...

    async def uncounted(self, block0_hash: str) -> tuple[UncountedVote, ...]:
        """The votes that any node reported to be lost, each once, by fragment id."""
        ...

    async def forget_uncounted(self, block0_hash: str, fragment_ids: Collection[str]) -> None:
        """Remove the reports, of all nodes, about votes that the counted chain has after all."""
        ...


class Leases(Protocol):
    """The right to publish."""

    async def acquire_lease(self, hostname: str, instance: str, seconds: float) -> Lease | None:
        """Take or renew the right to publish for *seconds*; None while another holder's has not expired.

        *instance* names the storage directory (one process at a time): the same instance renews at once, also
        after a crash, under a new generation when the process is new.
        """
        ...

    async def release_lease(self, lease: Lease) -> None:
        """Say that this holder has stopped, its node included."""
        ...


class Changes(Protocol):
    """Hints that there is something new to read."""

    async def listen(
        self, on_change: Callable[[], None], on_problem: Callable[[tuple[str, str] | None], None]
    ) -> NoReturn:
        """Call *on_change* when something may have changed, until cancelled; in a burst about once a second.

        *on_problem* is given (reason, message) while nothing is listened to, and None when it is again.
        """
        ...


class Database(Elections, Publications, Records, Shares, Cluster, Votes, Leases, Changes, Protocol):
    """The election database. Only its adapter knows tables and SQL."""
