"""The phases as they are drawn."""

import re
from itertools import combinations, pairwise

import pytest

from node_fsm.core.events import Event
from node_fsm.core.phases import Phase, Role
from node_fsm.core.table import LEADER0, TABLES, phases_of
from node_fsm.sidecar.page.diagram import Diagram, draw, split

WAYS = [(role, wide) for role in Role for wide in (True, False)]


@pytest.mark.parametrize(("role", "wide"), WAYS)
def test_every_phase_has_a_box_and_every_row_an_arrow(role: Role, wide: bool) -> None:
    drawn = draw(TABLES[role], Phase.RUNNING, [], wide=wide)
    assert [box.phase for box in drawn.boxes] == phases_of(TABLES[role])
    assert sorted(row for arrow in drawn.arrows for row in arrow.rows) == sorted(TABLES[role])
    assert [box.role for box in drawn.boxes if box.phase is Phase.RUNNING] == ["present"]


@pytest.mark.parametrize(("role", "wide"), WAYS)
def test_arrows_do_not_cross_and_nothing_leaves_the_drawing(role: Role, wide: bool) -> None:
    drawn = draw(TABLES[role], Phase.WAITING, [], wide=wide)
    lines = [corners(arrow.path) for arrow in drawn.arrows]
    for first, second in combinations(lines, 2):
        assert not any(cross(one, other) for one in pairwise(first) for other in pairwise(second))
    for x, y in (point for line in lines for point in line):
        assert 0 <= x <= drawn.width
        assert 0 <= y <= drawn.height
    assert all(box.x + box.width <= drawn.width and box.y + box.height <= drawn.height for box in drawn.boxes)


def corners(path: str) -> list[tuple[float, float]]:
    """The points of a path as if its corners were sharp."""
    ends = re.findall(r"M([\d.]+) ([\d.]+)|Q([\d.]+) ([\d.]+)|L([\d.]+) ([\d.]+)$", path)
    return [(float(point[0]), float(point[1])) for end in ends for point in [[part for part in end if part]]]


def cross(one: tuple[tuple[float, float], ...], other: tuple[tuple[float, float], ...]) -> bool:
    """Whether two level or upright lines have a point in common."""
    return all(
        max(min(one[0][axis], one[1][axis]), min(other[0][axis], other[1][axis]))
        <= min(max(one[0][axis], one[1][axis]), max(other[0][axis], other[1][axis]))
        for axis in (0, 1)
    )


def roles(drawn: Diagram) -> dict[str, set[str]]:
    """The events' texts by the role in which they are written."""
    said: dict[str, set[str]] = {}
    for arrow in drawn.arrows:
        for label in arrow.labels:
            said.setdefault(label.role, set()).add(label.text)
    return said


def test_what_was_gone_is_told_from_what_may_come() -> None:
    moves = [
        (Phase.WAITING, Event.ELECTION_DUE),
        (Phase.FETCHING_KEY, Event.BLOCK0_FOUND),
    ]
    drawn = draw(LEADER0, Phase.RUNNING, moves, wide=False)
    assert [box.phase for box in drawn.boxes if box.role == "been"] == [Phase.WAITING, Phase.FETCHING_KEY]
    arrows = {(arrow.rows[0].source, arrow.rows[0].target): arrow.role for arrow in drawn.arrows}
    assert arrows.pop((Phase.FETCHING_KEY, Phase.RUNNING)) == "came"
    assert arrows.pop((Phase.WAITING, Phase.FETCHING_KEY)) == "been"
    assert {pair for pair, role in arrows.items() if role == "out"} == {
        (Phase.RUNNING, Phase.TALLYING),
        (Phase.RUNNING, Phase.ARCHIVING),
    }


def test_of_two_events_between_the_same_phases_only_the_one_that_came_is_lit() -> None:
    drawn = draw(LEADER0, Phase.RUNNING, [(Phase.GENERATING_BLOCK0, Event.BLOCK0_FOUND)], wide=False)
    said = roles(drawn)
    assert said["came"] == {"block0 found"}
    assert "block0 published" in said["other"]


def test_names_are_parted_where_their_words_begin() -> None:
    assert split(Phase.GENERATING_BLOCK0) == ("Generating", "Block0")
    assert split(Phase.BUILDING_VOTE_PLAN) == ("Building", "VotePlan")
    assert split(Phase.RUNNING) == ("Running",)
