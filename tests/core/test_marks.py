"""Two chains that part are told apart by their marks, whichever is ahead and however far."""

from hypothesis import given
from hypothesis import strategies as st

from node_fsm.core.marks import Agreement, Mark, compare, mark_heights, shared


def chain(length: int, fork: int | None = None, side: str = "a") -> list[str]:
    """Block ids by height; from height *fork* on those of *side*."""
    return [f"{height}{side if fork is not None and height >= fork else ''}" for height in range(length + 1)]


def marks_of(ids: list[str]) -> list[Mark]:
    return [Mark(height, ids[height]) for height in mark_heights(len(ids) - 1)]


def seen(by: list[str], of: list[str]) -> Agreement:
    return compare(marks_of(of), len(by) - 1, by.__getitem__)


@given(st.integers(1, 2_000_000))
def test_marks_are_few_start_at_the_tip_and_never_name_block_0(tip: int) -> None:
    heights = mark_heights(tip)
    assert heights == sorted(set(heights), reverse=True)
    assert heights[0] == tip
    assert heights[-1] > 0
    assert len(heights) <= 64


@given(st.integers(1, 5000), st.integers(0, 5000))
def test_a_chain_agrees_with_its_own_past_and_future(height: int, further: int) -> None:
    assert seen(chain(height), chain(height + further)) in {Agreement.SAME, Agreement.UNKNOWN}
    assert seen(chain(height + further), chain(height)) is Agreement.SAME


@given(st.integers(1, 3000), st.integers(0, 3000), st.integers(0, 3000))
def test_of_two_chains_that_part_at_least_who_is_ahead_sees_it(fork: int, ours: int, theirs: int) -> None:
    a, b = chain(fork + ours, fork, "a"), chain(fork + theirs, fork, "b")
    ahead, behind = (a, b) if ours >= theirs else (b, a)
    assert seen(ahead, behind) is Agreement.APART
    assert seen(behind, ahead) in {Agreement.APART, Agreement.SAME, Agreement.UNKNOWN}


@given(st.integers(1, 3000), st.integers(8, 3000), st.data())
def test_who_is_behind_sees_it_once_its_part_is_as_long_as_the_distance(
    fork: int, ours: int, data: st.DataObject
) -> None:
    ahead = data.draw(st.integers(0, ours))
    assert seen(chain(fork + ours, fork, "a"), chain(fork + ours + ahead, fork, "b")) is Agreement.APART


@given(st.integers(1, 3000), st.integers(0, 300), st.integers(0, 300))
def test_the_last_mark_that_two_chains_share_lies_before_they_part(fork: int, ours: int, theirs: int) -> None:
    a, b = chain(fork + ours, fork, "a"), chain(fork + theirs, fork, "b")
    height = shared(marks_of(b), len(a) - 1, a.__getitem__)
    assert height < fork
    assert a[height] == b[height]
    assert shared(marks_of(a), len(a) - 1, a.__getitem__) == len(a) - 1


def test_what_cannot_be_compared_yet_is_unknown() -> None:
    assert compare([Mark(9, "x")], 8, chain(8).__getitem__) is Agreement.UNKNOWN
    assert compare([], 8, chain(8).__getitem__) is Agreement.UNKNOWN
