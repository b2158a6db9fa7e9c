"""What the engine sees when it looks: one immutable reading of the world, and what it works on.

Every value is known, absent or unknown. Absent is said by None, unknown by UNKNOWN, and unknown never means gone:
nothing is decided from it.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final, Literal

from node_fsm.core.chain_time import BlockDate
from node_fsm.core.errors import ServiceError
from node_fsm.core.events import Event
from node_fsm.core.model import Block0Ref, ElectionOverview, Overview
from node_fsm.core.phases import Role


class Unknown(Enum):
    """The type of UNKNOWN."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN


@dataclass(frozen=True, slots=True)
class LocalChain:
    """A directory of an election on this machine; *block0_hash* is None for plans not yet published.

    *has_blocks* says whether a node ever ran on it here, *is_recorded* whether this machine followed the chain past
    the end of voting and kept what the node said then: only such a chain makes a final archive. *has_publication* says
    whether what was published with it is here too, as it is on leader 0's machine.
    """

    election_id: int
    block0_hash: str | None
    has_blocks: bool
    is_recorded: bool = False
    has_publication: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """The election that the engine works on, chosen on leaving Waiting and dropped on entering it.

    *fingerprint* is the specification's as this work began, None when it was not known; *block0* is None until it is
    published.
    """

    election_id: int
    election_name: str
    fingerprint: str | None
    block0: Block0Ref | None

    @classmethod
    def on(cls, election: ElectionOverview) -> "Work":
        """Begin to work on *election* as it stands."""
        return cls(election.id, election.name, election.fingerprint, election.block0)


@dataclass(frozen=True, slots=True)
class View:
    """One look at the world.

    *slot_duration* is the block 0 template's, in seconds; *generation* that of the lease held, None without one;
    *tip* the date of the newest block of the chain in work; *failure* how the phase's task last ended, None when it
    has not failed, and *failures* how often it did since it went well; *clock_wrong* whether this machine's clock and
    the database's differ by more than they may, or it was set since they were compared;
    *unbuildable* are the ids of elections of which no block 0 can be made as they stand now.
    """

    overview: Overview | Literal[Unknown.UNKNOWN]
    local: tuple[LocalChain, ...] | Literal[Unknown.UNKNOWN]
    slot_duration: int | Literal[Unknown.UNKNOWN]
    generation: int | None
    tip: BlockDate | Literal[Unknown.UNKNOWN]
    failure: ServiceError | None
    failures: int = 0
    clock_wrong: bool = False
    unbuildable: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that decisions depend on."""

    role: Role
    voting_start_offset_minutes: float
    close_grace_minutes: float
    hot_reload: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """An event, one sentence saying why, and the work to go on with when it changes."""

    event: Event
    why: str
    work: Work | None = None


@dataclass(frozen=True, slots=True)
class Deadline:
    """The next moment at which the clock alone changes something; *election* is the name of the one whose it is."""

    name: str
    at: datetime
    election: str | None = None
