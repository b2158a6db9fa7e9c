"""What a phase works with: the ports, the settings, and the engine's latest view."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from node_fsm.block0.template import Template, load_template
from node_fsm.core.cluster import ChainStatement, Lease
from node_fsm.core.conditions import Conditions
from node_fsm.core.decryption import DecryptionSpeed
from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.core.events import Fact
from node_fsm.core.model import Block0Ref, ElectionOverview, ElectionSpec, JournalEntry, NodeRow, Overview
from node_fsm.core.phases import Phase
from node_fsm.core.secret import Secret
from node_fsm.core.tally_progress import TallyProgress
from node_fsm.core.view import UNKNOWN, Policy, Unknown, View, Work
from node_fsm.metrics import Metrics
from node_fsm.ports import Clock, Database, Jcli, Node, ObjectStore
from node_fsm.steps.mailbox import Mailbox, Pulse
from node_fsm.storage.workspace import ChainDirectory, Workspace


@dataclass(frozen=True, slots=True)
class PhaseSettings:
    """The settings that phases read."""

    hostname: str
    policy: Policy
    signing_key_uri: str | None
    archive_uri: str | None
    block0_template: Path
    service_version: str
    member_keys_uri: str | None = None
    max_decrypt_seconds: float = 600.0


@dataclass(slots=True)
class Context:
    """One per service. The engine writes *phase*, *work*, *view* and *lease*; phases read them."""

    settings: PhaseSettings
    clock: Clock
    database: Database
    store: ObjectStore
    jcli: Jcli
    node: Node
    workspace: Workspace
    conditions: Conditions
    metrics: Metrics
    mailbox: Mailbox
    looked: Pulse
    phase: Phase = Phase.WAITING
    work: Work | None = None
    view: View | None = None
    lease: Lease | None = None
    signing_key: Secret | None = None
    progressed: bool = False
    statement: ChainStatement | None = None
    """What this node says of its chain to the others; the engine reports it."""

    tally_progress: TallyProgress | None = None
    """How far the private votes of the chain that was last tallied are opened."""

    votes: tuple[str, int] | None = None
    """The block 0 hash of the chain that was last followed, and how many votes are in its blocks."""

    checked: dict[int, tuple[object, PermanentError | None]] = field(default_factory=dict)
    """By election: what was last checked for a block 0, as :meth:`to_check`, and why there can be none of it."""

    decryption_speed: DecryptionSpeed | None = None
    """How fast private votes are opened here, once that was asked; the engine reports it."""

    _template: tuple[float, Template] | None = field(default=None, repr=False)

    @property
    def policy(self) -> Policy:
        return self.settings.policy

    def template(self) -> Template:
        """The block 0 template, read anew when its file changed; PermanentError names what is wrong in it."""
        path = self.settings.block0_template
        try:
            changed = path.stat().st_mtime
        except OSError as error:
            raise PermanentError(
                "TemplateMissing", f"NODE_FSM_BLOCK0_TEMPLATE: cannot read {path}: {error.strerror}"
            ) from None
        if self._template is None or self._template[0] != changed:
            self._template = (changed, load_template(path))
        return self._template[1]

    def unbuildable(self, overview: Overview) -> frozenset[int]:
        """The elections that cannot be begun as they stand now."""
        return frozenset(
            election.id
            for election in overview.elections
            if (known := self.checked.get(election.id)) and known[1] and known[0] == self.to_check(election, overview)
        )

    def remember(
        self, election: ElectionOverview | ElectionSpec, overview: Overview, error: PermanentError | None
    ) -> None:
        """Why *election* cannot be begun as it stands, None when it can. Of elections that are over nothing is kept."""
        listed = {election.id for election in overview.elections}
        for over in self.checked.keys() - listed:
            del self.checked[over]
        self.checked[election.id] = self.to_check(election, overview), error

    def to_check(self, election: ElectionOverview | ElectionSpec, overview: Overview) -> object:
        """What decides whether a block 0 can be made; equal while nothing of it has changed."""
        leaders = tuple((node.hostname, node.leader_id) for node in overview.nodes)
        forgotten = isinstance(election, ElectionOverview) and election.forgotten
        return forgotten, election.revision, leaders, self._template, self.decryption_speed

    def election_in_work(self) -> Work:
        """The work of a phase that has one."""
        assert self.work is not None, f"{self.phase} has no election to work on"
        return self.work

    def block0_in_work(self) -> Block0Ref:
        """The published block 0 that Running, Tallying and Archiving work on."""
        block0 = self.election_in_work().block0
        assert block0 is not None, f"{self.phase} has no block 0 to work on"
        return block0

    def chain(self) -> ChainDirectory:
        """The directory of the chain in work."""
        return self.workspace.chain(self.election_in_work().election_id, self.block0_in_work().hash)

    def overview(self) -> Overview | Literal[Unknown.UNKNOWN]:
        """The latest reading of the database."""
        return self.view.overview if self.view else UNKNOWN

    def known_overview(self) -> Overview:
        """The latest reading of the database; TemporaryError while it is away."""
        overview = self.overview()
        if overview is UNKNOWN:
            raise TemporaryError("DatabaseUnavailable", "the database has not been read; waiting for it")
        return overview

    def published_election(self) -> ElectionOverview | None:
        """The election in work as the database has it now; None when it is not listed."""
        return self.known_overview().election(self.election_in_work().election_id)

    def own_node(self) -> NodeRow:
        """This node's row of jorm_nodes."""
        return node_of(self.settings.hostname, self.known_overview())

    def publishing_lease(self) -> Lease:
        """The lease under which this service may publish and run leader 0's node: both, or neither.

        TemporaryError while another holds it, PermanentError while another host may still run such a node.
        """
        if self.lease is None:
            raise TemporaryError(
                "LeaseNotHeld", "the right to publish is not this service's now; waiting until the other's expires"
            )
        if self.lease.problem:
            raise PermanentError(*self.lease.problem)
        return self.lease

    def fact(self, fact: Fact, election_id: int, election_name: str, reason: str) -> JournalEntry:
        """A line for the journal, to be written together with what it tells."""
        return JournalEntry(
            hostname=self.settings.hostname,
            election_id=election_id,
            election_name=election_name,
            source=self.phase,
            event=fact,
            target=self.phase,
            at=self.clock.now(),
            reason=reason,
        )

    def state_chain(self, statement: ChainStatement | None) -> None:
        """Have *statement* told to the other nodes: its news at once, its marks with the next report."""
        before, self.statement = self.statement, statement
        if statement and statement.news != (before.news if before else None):
            self.mailbox.look_again()

    def count_votes(self, votes: int) -> None:
        """Tell that so many votes are in the blocks of the chain in work."""
        self.votes = self.block0_in_work().hash, votes
        self.metrics.votes_cast(votes)

    def progress(self) -> None:
        """Say that the work that never ends goes well again: an earlier failure is over."""
        self.progressed = True

    async def next_look(self, seconds: float = 30.0) -> None:
        """Wait until the engine has looked at the world again, or *seconds* have passed."""
        await self.looked.next(seconds)

    def database_changed(self) -> None:
        """Have the database read anew: this phase wrote into it."""
        self.mailbox.database_changed()


def node_of(hostname: str, overview: Overview) -> NodeRow:
    """The row of jorm_nodes of this host; PermanentError when there is none."""
    node = overview.node(hostname)
    if node is None:
        raise PermanentError(
            "NodeUnknown",
            f"jorm_nodes has no row for {hostname}; add it with `node-fsm node add {hostname} --leader-id PUBLIC_KEY`,"
            " or set NODE_FSM_HOSTNAME",
        )
    return node
