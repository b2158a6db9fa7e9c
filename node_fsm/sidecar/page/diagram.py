"""The phases and what leads from one to the next, drawn from the table of transitions: geometry, nothing else.

Phases stand in a row in the order of a life. What leads to the next one goes straight; what leads further ahead goes
around on one side, what leads back on the other, in lanes that do not cross. The same is drawn across for wide windows
and downwards for narrow ones.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from node_fsm.core.events import Event
from node_fsm.core.phases import Phase
from node_fsm.core.table import Transition, phases_of

ROLES = ("came", "out", "been", "other")
"""Of arrows, the one that matters most first."""

_CORNER = 6.0


class _Measures(NamedTuple):
    """Sizes in user units: of a box along the row and across it, between boxes, of a lane, and around all."""

    along: float
    across: float
    gap: float
    lane: float
    margin: float


_WIDE = _Measures(along=96, across=52, gap=72, lane=26, margin=14)
_NARROW = _Measures(along=42, across=128, gap=44, lane=14, margin=10)


@dataclass(frozen=True, slots=True)
class Box:
    """A phase at its place; *lines* are its name as it is written, *role* is ``present``, ``been`` or ``other``."""

    phase: Phase
    lines: tuple[str, ...]
    x: float
    y: float
    width: float
    height: float
    role: str


class Label(NamedTuple):
    """A line of text in the middle of its place; *role* is that of its event, as of an arrow."""

    text: str
    x: float
    y: float
    role: str


@dataclass(frozen=True, slots=True)
class Arrow:
    """What leads from one phase to another: one path for all *rows* between them, pointed at its end.

    *role* is ``came`` (by which the present phase was entered), ``been`` (gone before), ``out`` (leads on from here) or
    ``other``.
    """

    rows: tuple[Transition, ...]
    path: str
    labels: tuple[Label, ...]
    role: str


@dataclass(frozen=True, slots=True)
class Diagram:
    """All of it, with its size in user units."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


@dataclass(slots=True)
class _Edge:
    """Rows between two phases, by their places in the row of phases; *lane* 0 goes straight."""

    source: int
    target: int
    rows: list[Transition] = field(default_factory=list)
    lane: int = 0

    @property
    def span(self) -> int:
        return abs(self.target - self.source)

    @property
    def ends(self) -> tuple[int, int]:
        return min(self.source, self.target), max(self.source, self.target)


def draw(table: Sequence[Transition], present: Phase, moves: Sequence[tuple[Phase, Event]], *, wide: bool) -> Diagram:
    """The diagram of *table* with *present* lit; *moves* are the phases left and by which event, the last last."""
    measures = _WIDE if wide else _NARROW
    phases = phases_of(table)
    edges = _edges(table, phases)
    sides = {
        ahead: [edge for edge in edges if edge.lane and (edge.target > edge.source) is ahead] for ahead in (True, False)
    }
    before, after = (max((edge.lane for edge in sides[ahead]), default=0) for ahead in (True, False))
    begin = measures.margin + before * measures.lane  # across the row, where the boxes begin
    roles = {(row.source, row.event): _role(row, present, moves) for row in table}
    place = _Place(measures, begin, wide, sides, roles)
    length = 2 * measures.margin + len(phases) * measures.along + (len(phases) - 1) * measures.gap
    depth = begin + measures.across + after * measures.lane + measures.margin
    been = {row.source for row in table if (row.source, row.event) in moves}
    return Diagram(
        *((length, depth) if wide else (depth, length)),
        boxes=tuple(
            place.box(index, phase, "present" if phase is present else "been" if phase in been else "other")
            for index, phase in enumerate(phases)
        ),
        arrows=tuple(map(place.arrow, edges)),
    )


def _edges(table: Iterable[Transition], phases: Sequence[Phase]) -> list[_Edge]:
    """One edge for each pair of phases, on lanes such that those on one side do not cross."""
    edges: dict[tuple[int, int], _Edge] = {}
    for row in table:
        pair = phases.index(row.source), phases.index(row.target)
        edges.setdefault(pair, _Edge(*pair)).rows.append(row)
    placed: list[_Edge] = []
    for edge in sorted(edges.values(), key=lambda edge: edge.span):
        if edge.target != edge.source + 1:
            ahead, (low, high) = edge.target > edge.source, edge.ends
            beside = [
                other.lane
                for other in placed
                if (other.target > other.source) is ahead and other.ends[0] < high and low < other.ends[1]
            ]
            edge.lane = 1 + max(beside, default=0)
        placed.append(edge)
    return placed


def _role(row: Transition, present: Phase, moves: Sequence[tuple[Phase, Event]]) -> str:
    pair = row.source, row.event
    if moves and moves[-1] == pair:
        return "came"
    if row.source is present:
        return "out"
    return "been" if pair in moves else "other"


class _Place:
    """Where things stand: along the row of phases and across it, turned to x and y at the end."""

    def __init__(
        self,
        measures: _Measures,
        begin: float,
        wide: bool,
        sides: dict[bool, list[_Edge]],
        roles: dict[tuple[Phase, Event], str],
    ) -> None:
        self._roles = roles
        self._measures = measures
        self._begin = begin
        self._wide = wide
        self._sides = sides

    def box(self, index: int, phase: Phase, role: str) -> Box:
        measures, along = self._measures, self._start(index)
        x, y = self._turned(along, self._begin)
        width, height = (measures.along, measures.across) if self._wide else (measures.across, measures.along)
        return Box(phase, split(phase) if self._wide else (str(phase),), x, y, width, height, role)

    def arrow(self, edge: _Edge) -> Arrow:
        measures = self._measures
        role = min((self._roles[row.source, row.event] for row in edge.rows), key=ROLES.index)
        if edge.lane == 0:
            middle = self._begin + measures.across / 2
            points = [(self._start(edge.source) + measures.along, middle), (self._start(edge.target) - 2, middle)]
            return Arrow(tuple(edge.rows), self._path(points), self._straight(edge, points), role)
        ahead = edge.target > edge.source
        side, away = (self._begin, -1) if ahead else (self._begin + measures.across, 1)
        lane = side + away * (measures.lane * edge.lane - (0 if self._wide else 4))
        leaves, arrives = self._port(edge, edge.source), self._port(edge, edge.target)
        points = [(leaves, side), (leaves, lane), (arrives, lane), (arrives, side + 2 * away)]
        label = Label(" / ".join(map(words, edge.rows)), (leaves + arrives) / 2, lane - 5, role)
        return Arrow(tuple(edge.rows), self._path(points), (label,) if self._wide else (), role)

    def _start(self, index: int) -> float:
        return self._measures.margin + index * (self._measures.along + self._measures.gap)

    def _port(self, edge: _Edge, index: int) -> float:
        """Where along its side of the box an end of *edge* is: those that come from before stand first.

        The longer ones stand inside among those, and outside among those that go on, so that none crosses another.
        """
        ahead = edge.target > edge.source
        here = [other for other in self._sides[ahead] if index in (other.source, other.target)]
        first = sorted((other for other in here if other.ends[1] == index), key=lambda other: other.span)
        then = sorted((other for other in here if other.ends[0] == index), key=lambda other: -other.span)
        number = [*first, *then].index(edge) + 1
        return self._start(index) + self._measures.along * number / (len(here) + 1)

    def _straight(self, edge: _Edge, points: Sequence[tuple[float, float]]) -> tuple[Label, ...]:
        """The events' words at a straight arrow: around its middle, the first event's above, or downwards beside it."""
        (left, across), (right, _) = points
        middle = (left + right) / 2
        labels: list[Label] = []
        for number, row in enumerate(edge.rows):
            role, said = self._roles[row.source, row.event], words(row)
            if self._wide:
                lines = said.split(" ")
                top = across - 6 - 12 * (len(lines) - 1) if number == 0 else across + 15
                labels += [Label(word, middle - 3, top + 12 * line, role) for line, word in enumerate(lines)]
            else:
                labels.append(Label(said, across + 10, middle + 4 + 13 * (number - (len(edge.rows) - 1) / 2), role))
        return tuple(labels)

    def _path(self, points: Sequence[tuple[float, float]]) -> str:
        """A line through *points* with round corners."""
        said = [f"M{_pair(*self._turned(*points[0]))}"]
        for before, corner, after in zip(points, points[1:], points[2:], strict=False):
            begin, end = (_towards(corner, other, _CORNER) for other in (before, after))
            said.append(f"L{_pair(*self._turned(*begin))}Q{_pair(*self._turned(*corner))} {_pair(*self._turned(*end))}")
        return "".join([*said, f"L{_pair(*self._turned(*points[-1]))}"])

    def _turned(self, along: float, across: float) -> tuple[float, float]:
        return (along, across) if self._wide else (across, along)


def _towards(corner: tuple[float, float], other: tuple[float, float], most: float) -> tuple[float, float]:
    """The point at most *most*, and at most half of the way, from *corner* to *other*."""
    distance = abs(other[0] - corner[0]) + abs(other[1] - corner[1])  # one of them is 0
    share = min(most, distance / 2) / distance if distance else 0
    return corner[0] + (other[0] - corner[0]) * share, corner[1] + (other[1] - corner[1]) * share


def _pair(x: float, y: float) -> str:
    return f"{x:.4g} {y:.4g}"


def words(row: Transition) -> str:
    """An event as people say it."""
    return row.event.replace("_", " ")


def split(phase: Phase) -> tuple[str, ...]:
    """A phase's name in lines of at most ten letters, parted where its words begin."""
    lines = [""]
    for word in re.findall(r"[A-Z][a-z0-9]+", phase):
        if lines[-1] and len(lines[-1] + word) > 10:
            lines.append("")
        lines[-1] += word
    return tuple(lines)
