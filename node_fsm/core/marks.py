"""Marks: a chain told in a few of its block ids, so that two nodes can tell where their chains part.

A tip alone says nothing to a node that has not reached its height, nor to one that is far ahead of it. So each node
tells the ids of its last blocks and, the further back the sparser, of fixed heights that everybody picks alike: whoever
hears of them finds one at or below its own tip, however far the two are apart.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import NamedTuple

RUN = 8
"""How many marks stand at each distance; each distance is this many times the one before."""


class Mark(NamedTuple):
    """The block of a main chain at *height*: its hex id."""

    height: int
    id: str


class Agreement(StrEnum):
    """What marks of another chain say about one's own."""

    SAME = "same"
    """The highest mark that the own chain reaches stands on it."""

    APART = "apart"
    """The own chain has another block at the height of a mark."""

    UNKNOWN = "unknown"
    """The own chain reaches none of the marks."""


def mark_heights(tip: int) -> list[int]:
    """The heights to mark on a chain whose tip is at height *tip*, highest first: never block 0, which all share."""
    heights: list[int] = []
    step, height = 1, tip
    while height > 0:
        for _ in range(RUN):
            if height <= 0:
                break
            heights.append(height)
            height -= step
        step *= RUN
        height -= height % step
    return heights


def shared(marks: Iterable[Mark], tip: int, id_at: Callable[[int], str | None]) -> int:
    """The height of the last of *marks* that stands on the chain of :func:`compare`; 0, block 0, when none does."""
    return max((mark.height for mark in marks if mark.height <= tip and id_at(mark.height) == mark.id), default=0)


def compare(marks: Iterable[Mark], tip: int, id_at: Callable[[int], str | None]) -> Agreement:
    """What *marks* say about the chain with its tip at height *tip* and the block ``id_at(height)`` at each height."""
    reached = max((mark for mark in marks if mark.height <= tip), default=None)
    if reached is None:
        return Agreement.UNKNOWN
    return Agreement.SAME if id_at(reached.height) == reached.id else Agreement.APART
