"""The whole cluster at one moment, as people look at it: nodes, elections, and what happened last.

All of it is read from the database, so that anybody who reaches that sees the same. Nothing decides by it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from node_fsm.core.chain_time import ChainDates
from node_fsm.core.model import ArchiveKind, ElectionOverview, JournalEntry
from node_fsm.core.payload_type import PayloadType
from node_fsm.core.phases import Described
from node_fsm.core.printable import argument
from node_fsm.core.view import Deadline

SILENT_AFTER = timedelta(minutes=3)
"""A service that goes well writes its status every minute."""


class NodeKind(Described):
    """What a node is in the cluster."""

    LEADER0 = "leader0", "makes the chain, tallies and archives it"
    LEADER = "leader", "makes blocks"
    FOLLOWER = "follower", "takes votes, and makes no blocks"


class Standing(Described):
    """Whether anything is heard of a node's service."""

    HEARD = "heard", "it tells of itself"
    SILENT = "silent", "it told of itself once, and has not for minutes"
    STOPPED = "stopped", "it said that it stops"
    NEVER_HEARD = "never_heard", "it stands in jorm_nodes, and no service has told of it yet"


class Stage(Described):
    """How far an election is."""

    UNREADABLE = "unreadable", "its row cannot be read"
    TO_COME = "to_come", "its block 0 is not made yet"
    MISSED = "missed", "its voting ended without a block 0"
    CANCELLED = "cancelled", "it was cancelled"
    PUBLISHED = "published", "its block 0 is published, and voting has not begun"
    VOTING = "voting", "people vote"
    TALLYING = "tallying", "voting has ended, and the votes are counted"
    COUNTED = "counted", "its results are posted"
    ARCHIVED = "archived", "its results are posted, and its chain is archived"
    GIVEN_UP = "given_up", "its chain is archived, and there are no results"


@dataclass(frozen=True, slots=True)
class ToldCondition:
    """A condition that a node told of; one of an older version tells only its *type*.

    *message* says what is wrong and what to do; *reason* is the title of its entry in the runbook.
    """

    type: str
    reason: str | None
    message: str | None
    since: datetime | None


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """A node as it last told of itself, at *heard_at*.

    *is_listed* says whether ``jorm_nodes`` has it: if not, the host was removed, or has another name there. *votes*
    are those in the blocks that it has of its chain, *peers* how many nodes it is connected to, *apart* the hosts that
    it found on another chain. What is not known is None.
    """

    hostname: str
    is_listed: bool
    kind: NodeKind | None
    standing: Standing
    leader_id: str | None = None
    p2p_address: str | None = None
    heard_at: datetime | None = None
    phase: str | None = None
    since: datetime | None = None
    election_id: int | None = None
    election: str | None = None
    block0_hash: str | None = None
    height: int | None = None
    tip: str | None = None
    tip_date: str | None = None
    peers: int | None = None
    votes: int | None = None
    next_deadline: Deadline | None = None
    conditions: tuple[ToldCondition, ...] = ()
    apart: tuple[str, ...] = ()
    version: str | None = None


@dataclass(frozen=True, slots=True)
class MemberShares:
    """A member of the committee, numbered from 0, and for how many private plans a share of theirs was posted.

    Nobody has checked those shares: whether they hold is told by leader 0, in its conditions and ``/state``.
    """

    index: int
    public_key: str | None
    plans: int


@dataclass(frozen=True, slots=True)
class ProposalResult:
    """The votes on a proposal, by option, in units of voting power; titles are None once their rows are gone."""

    plan_id: str
    index: int
    payload_type: PayloadType
    voting_group: str
    objective: str | None
    title: str | None
    options: tuple[str, ...]
    votes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ClusterArchive:
    """A verified archive in S3."""

    kind: ArchiveKind
    uri: str
    bytes: int
    verified_at: datetime | None


@dataclass(frozen=True, slots=True)
class ClusterElection:
    """An election that is not over, or one of the last that are.

    *fault* says what is wrong with its row, and then it has no times. *dates* are the published chain's. Of its
    *private_plans* so many are *decrypted*; *committee* is empty where there are none. *disputed* says why the count
    may not stand, *lost_votes* how many accepted votes are not counted and not acknowledged.
    """

    id: int
    name: str
    stage: Stage
    fault: str | None = None
    voting_start: datetime | None = None
    voting_end: datetime | None = None
    tallying_end: datetime | None = None
    block0_hash: str | None = None
    dates: ChainDates | None = None
    plans: int = 0
    private_plans: int = 0
    decrypted: int = 0
    committee: tuple[MemberShares, ...] = ()
    results: tuple[ProposalResult, ...] = ()
    disputed: str | None = None
    lost_votes: int = 0
    archives: tuple[ClusterArchive, ...] = ()

    @property
    def deadlines(self) -> tuple[Deadline, ...]:
        """The moments of the election: the chain's own once there is one."""
        if self.dates:
            times = (self.dates.vote_start_time, self.dates.vote_end_time, self.dates.committee_end_time)
        elif self.voting_start and self.voting_end and self.tallying_end:
            times = (self.voting_start, self.voting_end, self.tallying_end)
        else:
            return ()
        return tuple(map(Deadline, ("voting_start", "voting_end", "tallying_end"), times))


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """Who has the right to publish and to run leader 0's node, until when, and whether it said that it stopped.

    *unconfirmed* is another host that had it before and never said so.
    """

    hostname: str
    expires_at: datetime | None
    stopped: bool
    unconfirmed: str | None

    @property
    def problem(self) -> str | None:
        """What forbids this host to run leader 0's node, and what a person does about it."""
        if self.unconfirmed is None:
            return None
        return (
            f"{self.unconfirmed} was leader 0 before {self.hostname} and never said that it stopped: make sure that it"
            f" has, then run `node-fsm lease take --i-stopped-the-other` on {self.hostname}"
        )


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """The cluster at the moment *at* of the database's clock.

    *nodes* go by hostname, leader 0 first; *elections* by voting_start; *journal* has the latest entries, the newest
    first. *lease* is None before the first leader 0.
    """

    at: datetime
    nodes: tuple[ClusterNode, ...]
    elections: tuple[ClusterElection, ...]
    journal: tuple[JournalEntry, ...]
    lease: LeaseHolder | None

    @property
    def leader0(self) -> ClusterNode | None:
        """The node that is leader 0, as far as one has told so."""
        return next((node for node in self.nodes if node.kind is NodeKind.LEADER0), None)

    def problems(self) -> Iterator[str]:
        """What a person should look at, a sentence each."""
        if self.lease and self.lease.problem:
            yield self.lease.problem
        for node in self.nodes:
            yield from _problems(node)
        for election in self.elections:
            if election.fault:
                yield f"election {election.name}: {election.fault}"


def _problems(node: ClusterNode) -> Iterator[str]:
    name, removing = node.hostname, f"node-fsm node remove {argument(node.hostname)}"
    if not node.is_listed:
        yield (
            f"{name} has told of itself and is not in jorm_nodes: `{removing}` forgets a host that is gone or had"
            f" another name; a new one is added with `node-fsm node add {argument(name)}`"
        )
        if node.standing is not Standing.HEARD:
            return
    if node.standing is Standing.SILENT and node.heard_at:
        yield f"{name} was last heard of at {node.heard_at.isoformat(timespec='seconds')}: see whether its service runs"
    elif node.standing is Standing.STOPPED:
        yield f"the service of {name} has stopped: start it, or remove the node with `{removing}`"
    elif node.standing is Standing.NEVER_HEARD:
        yield f"nothing was ever heard of {name}: start its service with NODE_FSM_HOSTNAME={name}"
    else:
        for condition in node.conditions:
            yield f"{name}: {condition.type}" + (f": {condition.message}" if condition.message else "")


def stage(election: ElectionOverview, now: datetime) -> Stage:
    """How far a readable election is at *now*."""
    if election.block0 is None:
        if election.cancelled:
            return Stage.CANCELLED
        return Stage.TO_COME if election.voting_end > now else Stage.MISSED
    dates = election.block0.dates
    if election.archived:
        return Stage.ARCHIVED if election.results_posted else Stage.GIVEN_UP
    if election.cancelled:
        return Stage.CANCELLED
    if election.results_posted:
        return Stage.COUNTED
    if now < dates.vote_start_time:
        return Stage.PUBLISHED
    return Stage.VOTING if now < dates.vote_end_time else Stage.TALLYING
