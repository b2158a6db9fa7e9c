"""A series as lines."""

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_fsm.sidecar.page.plot import plot
from node_fsm.sidecar.page.series import Sample
from tests.sidecar.page.scenes import NOW, samples


def sample(minute: int, height: int, *, joined: bool = True, votes: int | None = None) -> Sample:
    return Sample(NOW + timedelta(minutes=minute), height, votes, joined)


def test_a_line_runs_from_edge_to_edge_and_ends_at_what_is_now() -> None:
    drawn = plot(
        "Height", [sample(0, 100, joined=False), sample(5, 110), sample(10, 120)], [100, 110, 120], from_zero=False
    )
    assert drawn is not None
    assert (drawn.lines, drawn.dots, drawn.gaps) == (("0,100 50,50 100,0",), (), ())
    assert (drawn.ticks, drawn.first, drawn.latest) == ((120, 110, 100), 100, 120)


def test_where_nothing_is_known_no_line_is_drawn() -> None:
    seen = [sample(0, 1, joined=False), sample(2, 2), sample(8, 3, joined=False), sample(10, 3)]
    drawn = plot("Height", seen, [1, 2, 3, 3], from_zero=True)
    assert drawn is not None
    assert [line.split(" ")[0].split(",")[0] for line in drawn.lines] == ["0", "80"]
    assert drawn.gaps == ((20.0, 80.0),)


def test_votes_begin_when_they_are_known() -> None:
    seen = samples()
    drawn = plot("Votes", seen, [each.votes for each in seen], from_zero=True)
    assert drawn is not None
    assert [gap[0] for gap in drawn.gaps] == [0.0, pytest.approx(33.7, abs=0.1)]
    assert len(drawn.lines) == 2


def test_what_stands_alone_is_a_dot() -> None:
    drawn = plot("Height", [sample(0, 4, joined=False), sample(9, 5, joined=False)], [4, 5], from_zero=False)
    assert drawn is not None
    assert (drawn.lines, len(drawn.dots), drawn.gaps) == ((), 2, ((0.0, 100.0),))


def test_there_is_no_plot_of_one_sample_or_of_nothing_known() -> None:
    assert plot("Height", [sample(0, 1, joined=False)], [1], from_zero=True) is None
    assert plot("Votes", [sample(0, 1, joined=False), sample(1, 1)], [None, None], from_zero=True) is None


@given(st.lists(st.integers(0, 10**12), min_size=2, max_size=20), st.booleans())
def test_every_value_is_within_round_ticks(values: list[int], from_zero: bool) -> None:
    drawn = plot("Any", [sample(minute, value) for minute, value in enumerate(values)], values, from_zero=from_zero)
    assert drawn is not None
    high, middle, low = drawn.ticks
    assert low <= min(values) <= max(values) <= high
    assert high - middle == middle - low > 0
    assert low == 0 or not from_zero
    step = middle - low
    assert step // 10 ** int(math.log10(step)) in {1, 2, 5}
    points = [tuple(map(float, point.split(","))) for line in drawn.lines for point in line.split(" ")]
    assert all(0 <= x <= 100 and 0 <= y <= 100 for x, y in points)
