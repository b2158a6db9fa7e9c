"""Every combination of the facts that decisions depend on, one small world for each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import product
from typing import Literal

from node_fsm.core.chain_time import BlockDate
from node_fsm.core.current import with_what_is_here
from node_fsm.core.decide import LAST_ATTEMPTS
from node_fsm.core.errors import PermanentError, ServiceError, TemporaryError
from node_fsm.core.model import ElectionOverview, Overview
from node_fsm.core.phases import Phase, Role
from node_fsm.core.view import UNKNOWN, LocalChain, Policy, Unknown, View, Work
from tests.core import worlds

OTHER_HASH = "0c" * 32
OTHER_ID, OTHER_NAME = 3, "winter"
MINE, FOREIGN = 5, 4

Posted = Literal["no", "same", "replaced"]
Other = Literal["none", "earlier", "later"]


@dataclass(frozen=True)
class Row:
    """The election's row: *posted* compares its block 0 with the one in work, of which the last two facts speak."""

    listed: bool = True
    posted: Posted = "no"
    generation: int = MINE
    edited: bool = False
    cancelled: bool = False
    results: bool = False
    closed: bool = False
    withdrawn: bool = False
    archived: bool = False


@dataclass(frozen=True)
class Stage:
    """Where a node stands: its role, its phase and whether the work it began with had a block 0."""

    role: Role
    phase: Phase
    working: bool
    published: bool

    def __str__(self) -> str:
        with_what = ("-block0" if self.published else "-unpublished") if self.working else ""
        return f"{self.role}-{self.phase}{with_what}"

    @property
    def work(self) -> Work | None:
        published = worlds.block0(generation=MINE) if self.published else None
        return worlds.work(published) if self.working else None


STAGES = [
    Stage(Role.LEADER0, Phase.WAITING, working=False, published=False),
    Stage(Role.LEADER0, Phase.FETCHING_KEY, working=True, published=False),
    Stage(Role.LEADER0, Phase.FETCHING_KEY, working=True, published=True),
    Stage(Role.LEADER0, Phase.BUILDING_VOTE_PLAN, working=True, published=False),
    Stage(Role.LEADER0, Phase.GENERATING_BLOCK0, working=True, published=False),
    Stage(Role.LEADER0, Phase.RUNNING, working=True, published=True),
    Stage(Role.LEADER0, Phase.TALLYING, working=True, published=True),
    Stage(Role.LEADER0, Phase.ARCHIVING, working=True, published=True),
    Stage(Role.LEADER0, Phase.RESET, working=True, published=True),
    Stage(Role.LEADER0, Phase.RESET, working=False, published=False),
    Stage(Role.NODE, Phase.WAITING, working=False, published=False),
    Stage(Role.NODE, Phase.FETCHING_KEY, working=True, published=True),
    Stage(Role.NODE, Phase.RUNNING, working=True, published=True),
    Stage(Role.NODE, Phase.RESET, working=True, published=True),
    Stage(Role.NODE, Phase.RESET, working=False, published=False),
]

BOTH = (False, True)
PUBLISHED: tuple[Posted, ...] = ("same", "replaced")
ROWS = [
    *(Row(listed=False, withdrawn=withdrawn, archived=archived) for withdrawn, archived in product(BOTH, BOTH)),
    *(
        Row(edited=edited, cancelled=cancelled, withdrawn=withdrawn, archived=archived)
        for edited, cancelled, withdrawn, archived in product(BOTH, BOTH, BOTH, BOTH)
    ),
    *(
        Row(True, posted, by, edited, cancelled, results, closed, withdrawn, archived)
        for posted, by, (edited, cancelled), results, closed, withdrawn, archived in product(
            PUBLISHED, (MINE, FOREIGN), ((False, False), (True, False), (False, True)), BOTH, BOTH, BOTH, BOTH
        )
        if archived or not closed or posted == "replaced"
    ),
]
OTHERS: tuple[Other, ...] = ("none", "earlier", "later")
NOTHING: tuple[LocalChain, ...] = ()
OWN_AND_OTHERS = (
    LocalChain(worlds.ID, worlds.HASH, has_blocks=True),
    LocalChain(OTHER_ID, OTHER_HASH, has_blocks=True),
)
LOCALS: tuple[tuple[LocalChain, ...], ...] = (
    NOTHING,
    (LocalChain(worlds.ID, None, has_blocks=False),),  # a draft
    (LocalChain(worlds.ID, worlds.HASH, has_blocks=True, is_recorded=True),),
    (LocalChain(worlds.ID, worlds.HASH, has_blocks=True),),
    (LocalChain(worlds.ID, worlds.HASH, has_blocks=True, has_publication=True),),
    (LocalChain(worlds.ID, worlds.HASH, has_blocks=False),),
    (LocalChain(worlds.ID, OTHER_HASH, has_blocks=True),),  # a replaced chain
    (  # one that was published in the place of another
        LocalChain(worlds.ID, worlds.HASH, has_blocks=True),
        LocalChain(worlds.ID, OTHER_HASH, has_blocks=True, has_publication=True),
    ),
    (LocalChain(OTHER_ID, None, has_blocks=False),),  # the other election's draft
    OWN_AND_OTHERS,
)
"""What may be in the working directory."""
MOMENTS: tuple[datetime, ...] = (
    worlds.DUE - 2 * worlds.HOUR,
    worlds.DUE - worlds.HOUR,  # the earlier election is due
    worlds.DUE,
    worlds.VOTING_START + worlds.DAY,
    worlds.VOTING_END - worlds.HOUR,  # the earlier election's voting has ended
    worlds.VOTING_END,
    worlds.CLOSE - worlds.HOUR,  # the earlier election's time to tally and its grace have passed
    worlds.CLOSE - worlds.INSTANT,
    worlds.CLOSE,
    worlds.CLOSE + LAST_ATTEMPTS,
    worlds.CLOSE + worlds.HOUR,  # the later one's
)
TIPS: tuple[BlockDate | Unknown, ...] = (
    UNKNOWN,
    BlockDate(worlds.DATES.vote_end.epoch - 1, 899),
    worlds.DATES.vote_end,
    BlockDate(worlds.DATES.vote_end.epoch, 1),
)
FAILURES: tuple[ServiceError | None, ...] = (
    None,
    TemporaryError("StoreUnavailable", "the store does not answer"),
    PermanentError("SharesMissing", "a share of member 2 is missing"),
)


@dataclass(frozen=True)
class Facts:
    """One world as one node meets it.

    *row* is None while the database is not known; *other* says whether there is another election, not published, an
    hour earlier or later.
    """

    stage: Stage
    row: Row | None
    other: Other
    local: tuple[LocalChain, ...]
    now: datetime
    slot_known: bool
    tip: BlockDate | Unknown
    failure: ServiceError | None

    @property
    def policy(self) -> Policy:
        return POLICIES[self.stage.role]

    def view(self) -> View:
        overview = UNKNOWN if self.row is None else overview_of(self.row, self.other)
        if overview is not UNKNOWN:
            overview = with_what_is_here(overview, self.local, self.policy)
        return worlds.view(
            overview,
            *self.local,
            slot_duration=worlds.SLOT if self.slot_known else UNKNOWN,
            generation=MINE,
            tip=self.tip,
            failure=self.failure,
        )


POLICIES = {role: worlds.policy(role) for role in Role}


def all_facts(stage: Stage, moments: Sequence[datetime] = MOMENTS) -> Iterator[Facts]:
    """Every world for *stage* at *moments*; facts that it should not care about take only their extreme values."""
    waiting, node_runs = stage.phase is Phase.WAITING, stage.phase in {Phase.RUNNING, Phase.TALLYING}
    locals_ = LOCALS if waiting else (NOTHING, OWN_AND_OTHERS)
    slots = BOTH if waiting else (True,)
    work_facts = list(product(TIPS, FAILURES)) if node_runs else [(TIPS[0], FAILURES[0]), (TIPS[-1], FAILURES[-1])]
    for row, other, local, now, slot, (tip, failure) in product(
        [None, *ROWS], OTHERS, locals_, moments, slots, work_facts
    ):
        yield Facts(stage, row, other, local, now, slot, tip, failure)


@cache
def overview_of(row: Row, other: Other) -> Overview:
    """What the database says."""
    elections = [_listed(row)] if row.listed else []
    if other != "none":
        elections.append(other_election(other))
    return worlds.overview(
        *sorted(elections, key=lambda election: election.voting_start),
        archived=[worlds.HASH] if row.archived else [],
        withdrawn=[worlds.HASH] if row.withdrawn else [],
    )


def other_election(other: Other) -> ElectionOverview:
    """The other election."""
    return worlds.election(id_=OTHER_ID, name=OTHER_NAME, later=worlds.HOUR if other == "later" else -worlds.HOUR)


def _listed(row: Row) -> ElectionOverview:
    hash_ = {"no": None, "same": worlds.HASH, "replaced": OTHER_HASH}[row.posted]
    return worlds.election(
        worlds.block0(hash_, generation=row.generation) if hash_ else None,
        fingerprint="edited" if row.edited else worlds.FINGERPRINT,
        cancelled=row.cancelled,
        results_posted=row.results,
        archived=row.closed,
    )
