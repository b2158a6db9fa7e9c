"""What the nodes of a cluster say of themselves to each other, and who of them may do what only one may."""

from dataclasses import dataclass
from datetime import datetime

from node_fsm.core.conditions import Condition
from node_fsm.core.decryption import DecryptionSpeed
from node_fsm.core.marks import Mark
from node_fsm.core.phases import Role
from node_fsm.core.view import Deadline


@dataclass(frozen=True, slots=True)
class ChainStatement:
    """What a node says of its chain, for the others to compare.

    *marks* tell which chain it is, *apart* names the nodes that it found on another one, *last_counted* is the id of
    the first settled block at or after the end of voting, None before there is one.
    """

    marks: tuple[Mark, ...]
    apart: tuple[str, ...]
    last_counted: str | None

    @property
    def news(self) -> object:
        """What others wait for: a leader 0 that is about to count, a node that has not seen by itself that it is apart.

        Marks change with every block, and are told with the next report.
        """
        return self.apart, self.last_counted


@dataclass(frozen=True, slots=True)
class NodeReport:
    """One node's row of ``node_status``: the cluster at a glance.

    Height and tip are None while no node runs; *holds_chain* says whether what it has is on its disk. Where
    *decryption_speed* is None what was reported before stays. *votes* are those in the blocks of its chain, None while
    that is not known; *details* say of each condition what to do; *stopped* that this service ends now.
    """

    hostname: str
    phase: str
    since: datetime
    election_id: int | None
    block0_hash: str | None
    height: int | None
    tip: str | None
    tip_date: str | None
    peers: int | None
    conditions: tuple[str, ...]
    version: str
    updated_at: datetime
    holds_chain: bool
    statement: ChainStatement | None = None
    decryption_speed: DecryptionSpeed | None = None
    role: Role | None = None
    votes: int | None = None
    deadline: Deadline | None = None
    details: tuple[Condition, ...] = ()
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class ChainCopy:
    """The chain as the node of *hostname* has it on its disk: *height* is the last reported, *lost* whether it is gone.

    Unlike the node's status it outlives restarts, because it says who may go on with the chain alone. *is_leader*
    says whether ``jorm_nodes`` has it as a leader now: only a leader can be the one that others wait for.
    """

    hostname: str
    height: int
    lost: bool
    is_leader: bool


@dataclass(frozen=True, slots=True)
class Neighbour:
    """What another node of a chain last reported of itself, at *updated_at* by its own clock.

    *marks*, *apart* and *last_counted* are those of its :class:`ChainStatement`.
    """

    hostname: str
    height: int
    tip: str
    conditions: tuple[str, ...]
    marks: tuple[Mark, ...]
    apart: tuple[str, ...]
    last_counted: str | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to publish, as this holder has it.

    *unconfirmed_holder* names another host that held it before and never said that it stopped: until somebody
    confirms that, this holder may neither publish nor start a node with leader 0's key.
    """

    holder: str
    generation: int
    expires_at: datetime
    unconfirmed_holder: str | None

    @property
    def problem(self) -> tuple[str, str] | None:
        """(reason, message) of what forbids to publish, and to start a node with leader 0's key: two must never run."""
        if self.unconfirmed_holder is None:
            return None
        return (
            "OtherLeader0Unconfirmed",
            (
                f"{self.unconfirmed_holder} was leader 0 before and never said that it stopped; make sure that it has,"
                " then run `node-fsm lease take` here"
            ),
        )
