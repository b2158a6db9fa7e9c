"""What is to happen in a simulated cluster, drawn from a seed: hosts, elections, edits, and who votes what."""

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from random import Random

from tests.phases.small_election import edited, row
from tests.support.fakes import START
from tests.support.memory_database import Row

SLOT_SECONDS = 20
SLOTS_PER_EPOCH = 20
LEAD_SECONDS = 120
"""From the row to the start of its chain, at least."""

VOTING_SECONDS = 200
TALLYING_SECONDS = 300
OFFSET_SECONDS = 60
"""From the start of a chain to the start of voting."""

POWERS = (1, 10)
"""Of the voters."""


class EditKind(StrEnum):
    """What an operator does to a row."""

    OPTION_ADDED = "option added"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Edit:
    """An operator's, *at* seconds."""

    at: float
    kind: EditKind


@dataclass(frozen=True, slots=True)
class Say:
    """What a voter says on a proposal of the plan of a group, *at* seconds, to the node of *host*.

    A voter may say two things on one proposal, to two nodes: one of them counts.
    """

    at: float
    host: str
    plan: int
    voter: int
    proposal: int
    choice: int


@dataclass(frozen=True, slots=True)
class Planned:
    """An election whose voting begins *at* seconds; its row is there from *written* on."""

    id: int
    at: float
    written: float
    groups: int
    private: int
    edits: tuple[Edit, ...]
    says: tuple[Say, ...]

    @property
    def name(self) -> str:
        return f"election {self.id}"

    @property
    def voting_end(self) -> float:
        return self.at + VOTING_SECONDS

    @property
    def tallying_end(self) -> float:
        return self.voting_end + TALLYING_SECONDS

    @property
    def is_cancelled(self) -> bool:
        return any(edit.kind is EditKind.CANCELLED for edit in self.edits)

    def row(self) -> Row:
        """As an operator wrote it."""
        made = row(self.id, self.name, groups=self.groups, private=self.private)
        made.spec = replace(
            made.spec,
            voting_start=START + timedelta(seconds=self.at),
            voting_end=START + timedelta(seconds=self.voting_end),
            tallying_end=START + timedelta(seconds=self.tallying_end),
        )
        return made

    @staticmethod
    def apply(edit: Edit, row: Row) -> None:
        """Change the row as *edit* says."""
        if edit.kind is EditKind.CANCELLED:
            row.cancelled = True
        else:
            row.edit(objectives=edited(row.spec), fingerprint="1:b")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A cluster of leader 0, other *leaders* and *followers*, and its elections, in the order of their voting.

    A *standby* is another host that would be leader 0.
    """

    seed: int
    leaders: tuple[str, ...]
    followers: tuple[str, ...]
    standby: tuple[str, ...]
    hot_reload: bool
    elections: tuple[Planned, ...]

    @property
    def hosts(self) -> tuple[str, ...]:
        return ("leader0", *self.standby, *self.leaders, *self.followers)

    @classmethod
    def draw(cls, seed: int) -> "Scenario":
        """The scenario of *seed*."""
        random = Random(f"scenario {seed}")
        leaders = tuple(f"leader{index + 1}" for index in range(random.choice((0, 0, 1, 2))))
        followers = ("follower",) if random.random() < 0.3 else ()
        standby = ("standby",) if random.random() < 0.15 else ()
        hot_reload = random.random() < 0.3
        hosts = ("leader0", *leaders, *followers)
        elections, at = [], LEAD_SECONDS + OFFSET_SECONDS
        for id_ in range(1, random.choice((1, 1, 2, 3)) + 1):
            elections.append(_draw_election(random, id_, at, hosts))
            at += VOTING_SECONDS + TALLYING_SECONDS + random.choice((-TALLYING_SECONDS // 2, 120, 600))
        if hot_reload:
            reloading = Random(f"hot reload {seed}")
            elections = [_reloaded(reloading, one) if reloading.random() < 0.7 else one for one in elections]
        return cls(seed, leaders, followers, standby, hot_reload, tuple(elections))


def _reloaded(random: Random, planned: Planned) -> Planned:
    """The election with an edit while its chain runs, mostly before people vote, unless it has one already."""
    if any(edit.kind is EditKind.OPTION_ADDED for edit in planned.edits):
        return planned
    edit = Edit(random.uniform(planned.at - OFFSET_SECONDS, planned.at + VOTING_SECONDS / 2), EditKind.OPTION_ADDED)
    return replace(planned, edits=tuple(sorted((*planned.edits, edit), key=lambda one: one.at)))


def _draw_election(random: Random, id_: int, at: float, hosts: tuple[str, ...]) -> Planned:
    groups = random.choice((1, 1, 2))
    private = int(random.random() < 0.02)
    says = [
        Say(random.uniform(at + 10, at + VOTING_SECONDS - 60), random.choice(hosts), plan, voter, proposal, choice)
        for plan in range(groups)
        for voter in range(len(POWERS))
        for proposal in range(2)
        if (choice := random.randrange(-1, 2)) >= 0
    ]
    says += [
        replace(say, host=random.choice(hosts), choice=1 - say.choice, at=say.at + random.uniform(0, 5))
        for say in says
        if random.random() < 0.1
    ]
    edits = []
    if random.random() < 0.15:
        edits.append(Edit(random.uniform(0, at + VOTING_SECONDS - 40), EditKind.OPTION_ADDED))
    if random.random() < 0.1:
        edits.append(Edit(random.uniform(0, at + VOTING_SECONDS + TALLYING_SECONDS / 2), EditKind.CANCELLED))
    written = random.uniform(0, at + 30) if random.random() < 0.2 else 0.0
    edits = [replace(edit, at=max(edit.at, written + 1)) for edit in edits]
    return Planned(id_, at, written, groups, private, tuple(sorted(edits, key=lambda edit: edit.at)), tuple(says))
