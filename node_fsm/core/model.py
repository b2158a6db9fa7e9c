"""What the service knows about an election: plain immutable records, shared by all layers.

Times are timezone-aware datetimes, powers and token amounts whole numbers, hashes and plan ids lower-case hex.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from node_fsm.core.chain_time import ChainDates
from node_fsm.core.payload_type import PayloadType
from node_fsm.core.secret import Secret


class ArchiveKind(StrEnum):
    """Why a chain was archived."""

    FINAL = "final"
    """The election ended; this archive closes it."""

    SUPERSEDED = "superseded"
    """Block 0 was withdrawn and the chain given up."""

    DIVERGENT = "divergent"
    """A node's own chain, with votes in blocks that the final or superseded archive of it does not have."""

    SALVAGE = "salvage"
    """Set-aside data whose election is not known any more."""


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A row of ``jorm_nodes``; *leader_id* is a bech32 ed25519 public key, None for a follower."""

    hostname: str
    leader_id: str | None
    p2p_address: str | None


@dataclass(frozen=True, slots=True)
class Block0Ref:
    """A published block 0 without its bytes.

    *size* counts bytes, *fingerprint* is that of the specification it was built from, *generation* the lease
    generation under which it was published.
    """

    hash: str
    size: int
    fingerprint: str
    generation: int
    dates: ChainDates


@dataclass(frozen=True, slots=True)
class ElectionOverview:
    """An election as every scan reads it: narrow, without proposals, voters or block 0 bytes.

    *fingerprint* is that of the specification now, None while it is not known: it takes a reading of all voters, which
    only leader 0 makes. *results_posted* and *archived* (a verified final archive) speak of the published block 0.
    *archive_deferred*: this machine set its chain aside, and archives it later. *begun*: a node ran on its chain here.
    *forgotten*: it was published, as this machine's disk still has it, and the database does not know that any more.
    *rival*: another block 0 of it than the published one, whose chain goes on on leader 0's disk.
    """

    id: int
    name: str
    voting_start: datetime
    voting_end: datetime
    tallying_end: datetime
    revision: int
    fingerprint: str | None
    cancelled: bool
    block0: Block0Ref | None
    results_posted: bool
    archived: bool
    archive_deferred: bool = False
    begun: bool = False
    forgotten: bool = False
    rival: str | None = None


@dataclass(frozen=True, slots=True)
class UnreadableElection:
    """A row that makes no election; *why* names the row, the column and what stands there."""

    id: int
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class DisputedTally:
    """Posted results of a chain that no majority of its leaders confirmed, *why*, and which no person has confirmed."""

    election_name: str
    block0_hash: str
    why: str


@dataclass(frozen=True, slots=True)
class UncountedVote:
    """A vote that a node accepted in time and that the chain does not have, and *why*.

    *account* is the voter's hex public key, *weight* in units of the voting token, *raw* the fragment as it was posted.
    """

    fragment_id: str
    account: str
    weight: int
    why: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class LostVotes:
    """How many votes of a chain are not counted and no person has acknowledged, and their weight together."""

    election_name: str
    block0_hash: str
    count: int
    weight: int


@dataclass(frozen=True, slots=True)
class Overview:
    """One reading of the database.

    *elections*: those published and not closed, and those not published whose voting has not ended, by
    (voting_start, id). *missed*: neither published nor cancelled, and voting has ended; without fingerprints.
    *archived* and *withdrawn* hold those of the asked-for block 0 hashes that have a verified final or superseded
    archive, or were withdrawn: copies of other kinds may lack blocks. *unreadable*: left out, because their rows cannot
    be read; nothing is known of them, and nothing is decided from that. *disputed* and *lost*: of all elections, also
    closed ones.
    """

    elections: tuple[ElectionOverview, ...]
    missed: tuple[ElectionOverview, ...]
    nodes: tuple[NodeRow, ...]
    archived: frozenset[str]
    withdrawn: frozenset[str]
    database_time: datetime
    unreadable: tuple[UnreadableElection, ...] = ()
    disputed: tuple[DisputedTally, ...] = ()
    lost: tuple[LostVotes, ...] = ()

    def is_unreadable(self, election_id: int) -> bool:
        """Whether the row of this election is there and cannot be read."""
        return any(row.id == election_id for row in self.unreadable)

    def election(self, election_id: int) -> ElectionOverview | None:
        """The listed election with this id."""
        return next((election for election in self.elections if election.id == election_id), None)

    def row(self, election_id: int) -> ElectionOverview | None:
        """As :meth:`election`, missed ones included."""
        return next((row for row in (*self.elections, *self.missed) if row.id == election_id), None)

    def node(self, hostname: str) -> NodeRow | None:
        """The row of ``jorm_nodes`` for *hostname*."""
        return next((node for node in self.nodes if node.hostname == hostname), None)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal: its row id, the 32 bytes that name it on the chain, its options in order."""

    id: int
    external_id: bytes
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Objective:
    """Proposals voted on by one group in one way; *proposals* are the non-deleted ones by id."""

    id: int
    title: str
    payload_type: PayloadType
    voting_group: str
    proposals: tuple[Proposal, ...]


@dataclass(frozen=True, slots=True)
class CommitteeMember:
    """A member of the committee: *id* is a hex ed25519 public key, *public_key* the private votes' member key."""

    id: str
    index: int
    public_key: str | None


@dataclass(frozen=True, slots=True)
class VotingGroup:
    """The voters of one group: how many rows, how many hold at least one unit, and the sum of whole units."""

    name: str
    voters: int
    token_holders: int
    tokens: int


@dataclass(frozen=True, slots=True)
class ElectionSpec:
    """Everything an operator specified, except the voters one by one, read in one transaction.

    *fund_holders* are the voters who hold at least one unit, each counted once in however many groups.
    """

    id: int
    name: str
    revision: int
    fingerprint: str
    voting_start: datetime
    voting_end: datetime
    tallying_end: datetime
    committee_threshold: int
    voting_power_unit: int
    committee: tuple[CommitteeMember, ...]
    objectives: tuple[Objective, ...]
    groups: tuple[VotingGroup, ...]
    fund_holders: int
    address_prefixes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VotePlan:
    """A vote plan as it stands, or will stand, on the chain.

    *index* counts from 0 within the election, *id* is the chain's hex plan id, *token* the voting token's id,
    *encryption_key* only for private plans; *proposals* in the plan's order.
    """

    index: int
    id: str
    payload_type: PayloadType
    voting_group: str
    token: str
    encryption_key: str | None
    proposals: tuple[Proposal, ...]


@dataclass(frozen=True, slots=True)
class Publication:
    """What is written in the one transaction that publishes block 0, beside its bytes."""

    election_id: int
    revision: int
    generation: int
    published_by: str
    hash: str
    size: int
    fingerprint: str
    dates: ChainDates
    plans: tuple[VotePlan, ...]


@dataclass(frozen=True, slots=True)
class Published:
    """What the database keeps of a publication beside block 0: its plans, and what was specified, as canonical text."""

    plans: tuple[VotePlan, ...]
    specification: str


@dataclass(frozen=True, slots=True)
class PlanResult:
    """The counted votes of one plan: ``votes[proposal][option]`` in units of the voting token.

    *fragment_id* names the tally on the chain, None when there is none; *on_chain* says whether that tally is in a
    block of the chain.
    """

    plan_id: str
    votes: tuple[tuple[int, ...], ...]
    fragment_id: str | None
    on_chain: bool


@dataclass(frozen=True, slots=True)
class StoredArchive:
    """An archive in S3; *sha256* and *bytes* are the tar's, *manifest* the text of manifest.json."""

    election_id: int
    election_name: str
    block0_hash: str
    run_id: str
    kind: ArchiveKind
    tip_hash: str
    uri: str
    sha256: str
    bytes: int
    manifest: str
    verified_at: datetime


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One line of ``phase_journal``: a transition, or a :class:`~node_fsm.core.events.Fact` without one."""

    hostname: str
    election_id: int | None
    election_name: str | None
    source: str
    event: str
    target: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class SignedFragment:
    """A signed transaction ready to be posted: its hex id on the chain, and its bytes."""

    id: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Payer:
    """The account that makes a transaction.

    *address* is bech32; *counter* is the account's spending counter in *lane*, as the ledger has it now; *secret*
    signs for the account.
    """

    address: str
    counter: int
    lane: int
    secret: Secret
