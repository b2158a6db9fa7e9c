"""A series as lines in a drawing of 100 by 100, whose labels stand beside it so that they keep their size."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from node_fsm.sidecar.page.series import Sample

_STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Plot:
    """One quantity over time.

    *lines* are the points of polylines, one for each stretch without a gap; *dots* the places of samples that stand
    alone; *gaps* are from where to where nothing is known. *ticks* are the labels of the axis, from the top down.
    """

    name: str
    first: int
    latest: int
    lines: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    gaps: tuple[tuple[float, float], ...]
    ticks: tuple[int, int, int]


def plot(name: str, samples: Sequence[Sample], values: Sequence[int | None], *, from_zero: bool) -> Plot | None:
    """The *values* of *samples*, None where not known; None while there are not two samples to draw.

    The axis begins at 0 if *from_zero*, else just below the least value.
    """
    known = [value for value in values if value is not None]
    if len(samples) < 2 or not known or samples[-1].at == samples[0].at:
        return None
    low, high = _axis(0 if from_zero else min(known), max(known))
    begin, end = samples[0].at, samples[-1].at

    def across(at: datetime) -> float:
        return round(100 * ((at - begin) / (end - begin)), 2)

    stretches: list[list[tuple[float, float]]] = []
    for sample, value, before in zip(samples, values, (None, *values[:-1]), strict=True):
        if value is None:
            continue
        if not sample.joined or before is None:
            stretches.append([])
        stretches[-1].append((across(sample.at), round(100 - 100 * (value - low) / (high - low), 2)))
    known_at = [(stretch[0][0], stretch[-1][0]) for stretch in stretches]
    edges = [(0.0, 0.0), *known_at, (100.0, 100.0)]
    return Plot(
        name=name,
        first=known[0],
        latest=known[-1],
        lines=tuple(" ".join(f"{x:g},{y:g}" for x, y in stretch) for stretch in stretches if len(stretch) > 1),
        dots=tuple(stretch[0] for stretch in stretches if len(stretch) == 1),
        gaps=tuple((left, right) for (_, left), (right, _) in itertools.pairwise(edges) if right > left),
        ticks=(high, (low + high) // 2, low),
    )


def _axis(least: int, most: int) -> tuple[int, int]:
    """The ends of an axis of two equal steps that are round numbers."""
    size = 10 ** max(0, int(math.log10(max(1, most - least))) - 1)
    while True:
        for step in (factor * size for factor in _STEPS):
            low = least // step * step
            if low + 2 * step >= most and low + 2 * step > low:
                return low, low + 2 * step
        size *= 10
