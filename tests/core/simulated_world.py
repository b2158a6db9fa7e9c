"""A model of the world around the machine: what each phase's work would publish, and what may go wrong meanwhile.

Small enough that every state that can be reached is reached. The tables and the decisions are the real ones;
database, node, clock and working directory are a few facts in a frozen record. A block 0 is named after what it was
built from, since the same specification gives the same bytes; as in the database, one that was withdrawn is not
published again, nor another beside one that was not.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache

from node_fsm.core.current import current, with_what_is_here
from node_fsm.core.decide import deadlines_ahead, decide
from node_fsm.core.errors import PermanentError
from node_fsm.core.events import Event
from node_fsm.core.model import Block0Ref, ElectionOverview, Overview
from node_fsm.core.phases import BEFORE_PUBLICATION, NODE_MUST_RUN, Phase, Role
from node_fsm.core.table import TABLES
from node_fsm.core.view import UNKNOWN, Decision, LocalChain, View, Work
from tests.core import worlds

TARGETS = {(role, row.source, row.event): row.target for role, table in TABLES.items() for row in table}
POLICIES = {role: worlds.policy(role) for role in Role}
REFUSED = PermanentError("Refused", "a share is missing, or the database took no block 0")
ELSEWHERE = 99
"""The lease generation of another host."""


@dataclass(frozen=True)
class Election:
    """A row: the times by how much *later* they are than the standard ones, and what it was given."""

    id: int
    later: timedelta = timedelta(0)
    fingerprint: str = "A"
    cancelled: bool = False
    block0: Block0Ref | None = None
    made: frozenset[str] = frozenset()
    """The hashes of all block 0 that it ever had."""

    @property
    def next_hash(self) -> str:
        return f"{self.id}{self.fingerprint}"

    def published(self, generation: int) -> "Election":
        published = worlds.block0(self.next_hash, fingerprint=self.fingerprint, generation=generation, later=self.later)
        return replace(self, block0=published, made=self.made | {published.hash})

    def mended(self, hash_: str) -> "Election":
        """With the block 0 that vanished from it."""
        fingerprint = hash_.removeprefix(str(self.id))
        return replace(self, block0=worlds.block0(hash_, fingerprint=fingerprint, later=self.later))


@dataclass(frozen=True)
class World:
    """Everything that one node's fate depends on; *faults* may still happen. Sets hold block 0 hashes."""

    role: Role
    elections: tuple[Election, ...]
    faults: int
    moment: int = 0
    phase: Phase = Phase.WAITING
    work: Work | None = None
    local: frozenset[LocalChain] = frozenset()
    generation: int = 1
    shares_lost: bool = False
    failed: bool = False
    results: frozenset[str] = frozenset()
    withdrawn: frozenset[str] = frozenset()
    superseded: frozenset[str] = frozenset()
    closed: frozenset[str] = frozenset()

    @property
    def moments(self) -> list[datetime]:
        return _moments(tuple(election.later for election in self.elections))

    @property
    def now(self) -> datetime:
        return self.moments[self.moment]

    @property
    def in_work(self) -> Election:
        assert self.work
        return next(election for election in self.elections if election.id == self.work.election_id)

    @property
    def chain(self) -> Block0Ref:
        """The block 0 in work."""
        assert self.work
        assert self.work.block0
        return self.work.block0

    @property
    def is_posted(self) -> bool:
        """Whether the block 0 in work stands in its row."""
        return self.in_work.block0 is not None and self.in_work.block0.hash == self.chain.hash

    def overview(self) -> Overview:
        """One reading of the database."""
        rows = sorted(map(self._row, self.elections), key=lambda row: (row.voting_start, row.id))
        listed = [row for row in rows if not row.archived and (row.block0 or row.voting_end > self.now)]
        missed = tuple(row for row in rows if not row.block0 and not row.cancelled and row.voting_end <= self.now)
        known = worlds.overview(*listed, archived=self.superseded | self.closed, withdrawn=self.withdrawn)
        overview = replace(known, missed=missed)
        return with_what_is_here(overview, self.local, POLICIES[self.role])

    def _row(self, election: Election) -> ElectionOverview:
        hash_ = election.block0.hash if election.block0 else None
        return worlds.election(
            election.block0,
            id_=election.id,
            name=f"election {election.id}",
            later=election.later,
            fingerprint=election.fingerprint,
            cancelled=election.cancelled,
            results_posted=hash_ in self.results,
            archived=hash_ in self.closed,
        )

    def view(self) -> View:
        """What the engine sees; the node is in step with the clock."""
        return worlds.view(
            self.overview(),
            *sorted(self.local, key=lambda chain: (chain.election_id, chain.block0_hash or "")),
            generation=self.generation,
            tip=self.chain.dates.clock.date_at(self.now) if self.phase in NODE_MUST_RUN else UNKNOWN,
            failure=REFUSED if self.failed else None,
        )

    def decision(self) -> Decision | None:
        return decide(self.phase, self.work, self.view(), self.now, POLICIES[self.role])

    def with_row(self, election: Election) -> "World":
        """This world with another row of the same id."""
        rows = tuple(election if row.id == election.id else row for row in self.elections)
        return replace(self, elections=rows)

    def without_block0(self, election: Election) -> "World":
        """After its block 0 was withdrawn."""
        assert election.block0
        withdrawn = self.withdrawn | {election.block0.hash}
        return replace(self.with_row(replace(election, block0=None)), withdrawn=withdrawn)

    def moved(self, decision: Decision) -> "World":
        """After firing an event, as the engine does it."""
        phase = TARGETS[self.role, self.phase, decision.event]
        work = None if phase is Phase.WAITING else decision.work or self.work
        return replace(self, phase=phase, work=work, failed=False)

    def failing(self) -> "World":
        """After the phase's work was refused by something that only a person can mend."""
        return replace(self, failed=True)

    def may_publish(self, election: Election) -> bool:
        """Whether the database takes a block 0 for *election*."""
        return election.made <= self.withdrawn and election.next_hash not in self.withdrawn

    def worked(self) -> "World":
        """After the next lasting effect of the phase's work; unchanged when there is none left."""
        match self.phase:
            case Phase.FETCHING_KEY if self.role is Role.LEADER0 and (kept := self._forgotten()):
                return self.mended(kept)
            case Phase.BUILDING_VOTE_PLAN:
                assert self.work
                return replace(self, local=self.local | {LocalChain(self.work.election_id, None, has_blocks=False)})
            case Phase.GENERATING_BLOCK0 if self.in_work.block0 is None:
                publishable = self.may_publish(self.in_work)
                return self.with_row(self.in_work.published(self.generation)) if publishable else self.failing()
            case Phase.RUNNING:
                return self._run_node()
            case Phase.TALLYING if self.chain.hash not in self.results:
                counted = replace(self._recorded(), results=self.results | {self.chain.hash})
                return self.failing() if self.shares_lost else counted
            case Phase.TALLYING:
                return self._recorded()
            case Phase.ARCHIVING if self.is_posted and self.in_work.cancelled and self.chain.hash not in self.results:
                return self.without_block0(self.in_work)
            case Phase.ARCHIVING if self.is_posted:
                return replace(self, closed=self.closed | {self.chain.hash})
            case Phase.ARCHIVING:
                return replace(self, superseded=self.superseded | {self.chain.hash})
            case Phase.RESET:
                return replace(self, local=frozenset(filter(self._in_use, self.local)))
        return self

    def _run_node(self) -> "World":
        """The draft becomes the chain's directory; leader 0 also looks after what is published."""
        assert self.work
        id_ = self.work.election_id
        kept = {chain for chain in self.local if chain.election_id != id_}
        here = next((chain for chain in self.local if chain.block0_hash == self.chain.hash), None)
        chain = here or LocalChain(id_, self.chain.hash, has_blocks=True)
        if here and self.role is Role.LEADER0 and self.is_posted:
            chain = replace(here, has_publication=True)
        running = replace(self, local=frozenset({*kept, chain}))
        vanished = self.in_work.block0 is None and self.chain.hash not in self.withdrawn
        if running != self or self.role is Role.NODE:
            return running
        if vanished:
            return self.with_row(replace(self.in_work, block0=self.chain))
        return self.without_block0(self.in_work) if self.in_work.cancelled and self.is_posted else self

    def _recorded(self) -> "World":
        """The chain in work is here and was followed past the end of voting."""
        id_ = self.in_work.id
        others = {chain for chain in self.local if chain.election_id != id_}
        has_publication = any(chain.block0_hash == self.chain.hash and chain.has_publication for chain in self.local)
        recorded = LocalChain(id_, self.chain.hash, has_blocks=True, is_recorded=True, has_publication=has_publication)
        return replace(self, local=frozenset({*others, recorded}))

    def _in_use(self, chain: LocalChain) -> bool:
        election = current(self.overview(), self.now, POLICIES[self.role])
        in_use = {None, election.block0.hash} if election and election.block0 else {None}
        is_current = election is not None and chain.election_id == election.id
        return (is_current and chain.block0_hash in in_use) or chain in self.vanished

    def _forgotten(self) -> LocalChain | None:
        """The chain of the election in work that leader 0 puts back."""
        row = self.overview().election(self.in_work.id)
        if row is None or not row.forgotten:
            return None
        here = sorted(self.vanished, key=lambda chain: chain.block0_hash or "")
        return next((chain for chain in here if chain.election_id == row.id and chain.has_publication), None)

    @property
    def vanished(self) -> set[LocalChain]:
        """Chains that are here, and whose block 0 is gone from its row, but was not withdrawn, nor its election.

        Once the time to tally is over those alone that leader 0 may put back.
        """
        rows = {election.id: election for election in self.elections}

        def is_awaited(chain: LocalChain) -> bool:
            row = rows[chain.election_id]
            is_gone = row.block0 is None and not row.cancelled and chain.block0_hash not in self.withdrawn
            may_be_put_back = chain.has_publication and chain.block0_hash not in self.superseded | self.closed
            return is_gone and (may_be_put_back or self.now < worlds.CLOSE + row.later)

        return {chain for chain in self.local if chain.has_blocks and is_awaited(chain)}

    def mended(self, chain: LocalChain) -> "World":
        """After somebody put the block 0 of *chain* back into its row."""
        assert chain.block0_hash
        row = next(row for row in self.elections if row.id == chain.election_id)
        return self.with_row(row.mended(chain.block0_hash))

    def outcomes(self) -> list[Decision]:
        """The events with which the phase's work may end now."""
        if self.worked() != self or self.failed:
            return []
        match self.role, self.phase:
            case Role.LEADER0, Phase.FETCHING_KEY:
                assert self.work
                if self.in_work.block0:
                    return [Decision(Event.BLOCK0_FOUND, "", replace(self.work, block0=self.in_work.block0))]
                return [Decision(Event.KEY_FETCHED, "")]
            case Role.NODE, Phase.FETCHING_KEY:
                return [Decision(Event.KEY_FETCHED, ""), Decision(Event.KEY_NOT_NEEDED, "")]
            case _, Phase.BUILDING_VOTE_PLAN:
                return [Decision(Event.VOTE_PLAN_BUILT, "")]
            case _, Phase.GENERATING_BLOCK0 if self.in_work.block0:
                assert self.work
                return [Decision(Event.BLOCK0_PUBLISHED, "", replace(self.work, block0=self.in_work.block0))]
            case _, Phase.TALLYING:
                return [Decision(Event.RESULTS_POSTED, "")]
            case _, Phase.ARCHIVING:
                return [Decision(Event.ARCHIVED, "")]
            case _, Phase.RESET:
                return [Decision(Event.LOCAL_DATA_RESET, "")]
        return []

    def surroundings(self) -> Iterator["World"]:
        """What others do in good order: time passes, leader 0 does its work while this is another node."""
        if self.moment + 1 < len(self.moments):
            yield replace(self, moment=self.moment + 1)
        for row in self.overview().elections:
            election = next(election for election in self.elections if election.id == row.id)
            if election.block0 and election.fingerprint != election.block0.fingerprint:
                if self.role is Role.NODE or self.phase is Phase.RUNNING:
                    yield self.without_block0(election)  # hot reload
            elif self.role is Role.NODE:
                yield from self._led(election)
        if self.role is Role.NODE and self.withdrawn - self.superseded:
            yield replace(self, superseded=self.withdrawn)
        for chain in self.vanished:
            yield self.mended(chain)

    def _led(self, election: Election) -> Iterator["World"]:
        """What leader 0 does next for *election*."""
        if election.block0 and election.cancelled:
            yield self.without_block0(election)
        elif election.block0 and self.now >= election.block0.dates.vote_end_time:
            yield replace(self, closed=self.closed | {election.block0.hash})
        elif not election.block0 and self._may_begin(election):
            yield self.with_row(election.published(ELSEWHERE))

    def _may_begin(self, election: Election) -> bool:
        due = self.now >= worlds.DUE + election.later
        return due and not election.cancelled and self.may_publish(election)

    def disturbances(self) -> Iterator["World"]:
        """What may go wrong, or be done by a person, once more."""
        if self.faults == 0:
            return
        spent = replace(self, faults=self.faults - 1)
        down = replace(spent, phase=Phase.WAITING, work=None, failed=False, generation=self.generation + 1)
        yield down
        yield replace(down, local=frozenset())
        yield replace(spent, shares_lost=True)
        for election in self.elections:
            if election.block0 and election.block0.hash in self.closed:
                continue
            yield spent.with_row(replace(election, fingerprint="B" if election.fingerprint == "A" else "A"))
            yield spent.with_row(replace(election, cancelled=True))
            if election.block0:
                yield spent.with_row(replace(election, block0=None))
                yield replace(spent, superseded=self.superseded | {election.block0.hash})  # a copy, set aside
            elif self.phase in BEFORE_PUBLICATION and election == self.in_work and self._may_begin(election):
                yield spent.with_row(election.published(ELSEWHERE))

    def at_next_deadline(self) -> "World | None":
        """When nothing is left to do now: the moment to which the engine sleeps; None when it waits for a change."""
        deadline = next(iter(deadlines_ahead(self.phase, self.work, self.view(), self.now, POLICIES[self.role])), None)
        return replace(self, moment=self.moments.index(deadline.at)) if deadline else None


def successor(world: World) -> World | None:
    """The next step while nothing is disturbed; None when nothing is left to do for ever."""
    if decision := world.decision():
        return world.moved(decision)
    if (worked := world.worked()) != world:
        return worked
    if outcomes := world.outcomes():
        return world.moved(outcomes[0])
    return world.at_next_deadline()


def successors(world: World) -> Iterator[tuple[Event | None, World]]:
    """Every next step, with the event fired; a decision goes before the work, anything else may come in between."""
    if decision := world.decision():
        yield decision.event, world.moved(decision)
    else:
        if (worked := world.worked()) != world:
            yield None, worked
        for outcome in world.outcomes():
            yield outcome.event, world.moved(outcome)
    for changed in (*world.surroundings(), *world.disturbances()):
        yield None, changed


@cache
def _moments(laters: tuple[timedelta, ...]) -> list[datetime]:
    """Every moment at which a decision may change, and one before all."""
    of_election = (worlds.DUE, worlds.VOTING_START, worlds.VOTING_END, worlds.TALLYING_END, worlds.CLOSE)
    return sorted({worlds.DUE - worlds.HOUR, *(moment + later for moment in of_election for later in laters)})
