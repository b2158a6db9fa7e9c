"""The cluster at one moment, as the live view shows it, and what changed from one moment to the next. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from node_fsm.sidecar.answers import State


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node: *state* is None while its service does not answer, *height* and *peers* while the node does not.

    *starting* says that the service does not answer yet, since it was started.
    """

    hostname: str
    restarts: int
    state: State | None = None
    height: int | None = None
    peers: int | None = None
    starting: bool = False

    @property
    def conditions(self) -> dict[str, str]:
        """What bothers the service: reasons by type."""
        return {held.type: held.reason for held in self.state.conditions} if self.state else {}

    @property
    def conditions_told(self) -> str:
        """The same in a line."""
        return ", ".join(f"{type_}: {reason}" for type_, reason in self.conditions.items())


@dataclass(frozen=True, slots=True)
class VotesView:
    """How voting goes: of *drawn* votes so many were cast, are in blocks, were rejected."""

    election: str
    drawn: int
    cast: int
    in_blocks: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Moment:
    """All of it at the time *at*."""

    at: datetime
    nodes: tuple[NodeView, ...]
    votes: VotesView | None


def changes(before: NodeView, after: NodeView) -> Iterator[str]:
    """One line for each thing about a node that a reader of a log wants to know."""
    if after.state is None:
        if before.state is not None:
            yield f"{after.hostname}: its service does not answer"
        return
    now = after.state
    was = before.state
    if was is None or (was.phase, was.since, was.election) != (now.phase, now.since, now.election):
        yield f"{after.hostname}: {now.phase}" + (f" ({now.election})" if now.election else "")
    for type_, reason in after.conditions.items():
        if before.conditions.get(type_) != reason:
            yield f"{after.hostname}: condition {type_}, {reason}"
    if was is not None:
        for type_ in before.conditions.keys() - after.conditions.keys():
            yield f"{after.hostname}: condition {type_} is over"
