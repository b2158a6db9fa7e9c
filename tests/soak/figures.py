"""What is measured again and again while elections are held, and whether it stays as it is. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import median

FEWEST = 5
"""Samples, below which a slope says nothing."""


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The growth of the second value for one more of the first: the median over all pairs, so that outliers count for
    nothing; 0 for fewer than FEWEST points.
    """
    if len(points) < FEWEST:
        return 0.0
    return median((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if x1 != x2)


@dataclass
class Figure:
    """One thing that is measured, by the number of elections held; it may grow by *limit* for each of them."""

    name: str
    unit: str
    limit: float
    warm: int = 0
    """So many samples are not judged: what is bounded fills up meanwhile, thread pools and an allocator's heap."""

    points: list[tuple[float, float]] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """By so many units for each election."""
        return slope(self.points[self.warm :])

    @property
    def is_flat(self) -> bool:
        return self.growth <= self.limit


class Figures:
    """All that is measured. A process that is started again begins a figure of its own, *warm* samples of it first."""

    def __init__(self, warm: int = 0) -> None:
        self._warm = warm
        self._figures: dict[str, Figure] = {}

    def note(self, name: str, unit: str, value: float, *, held: int, limit: float) -> None:
        """Add a measurement, after *held* elections."""
        self._figures.setdefault(name, Figure(name, unit, limit, self._warm)).points.append((held, value))

    def growing(self) -> list[str]:
        """What is not flat, each in a sentence."""
        return [
            f"{figure.name} grows by {figure.growth:.3g} {figure.unit} an election, more than {figure.limit:g}"
            for figure in self._figures.values()
            if not figure.is_flat
        ]

    def table(self) -> Iterator[str]:
        """A line for each, with its growth for each election beside the limit; what has too few samples is left out."""
        yield f"{'':44} {'samples':>7} {'first':>10} {'last':>10} {'most':>10} {'growth':>10} {'limit':>8}"
        for figure in sorted(self._figures.values(), key=lambda one: one.name):
            values = [value for _, value in figure.points]
            if len(values) >= FEWEST:
                yield (
                    f"{f'{figure.name}, {figure.unit}':44} {len(values):7} {values[0]:10.1f} {values[-1]:10.1f}"
                    f" {max(values):10.1f} {figure.growth:10.4f} {figure.limit:8g}"
                )
