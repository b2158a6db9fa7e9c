"""Time series as promtool writes them: ``name{label="value"}`` with a row of values, ``_`` for a missing one."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple, Self

from prometheus_client.parser import text_string_to_metric_families

Values = tuple[float | None, ...]


class Series(NamedTuple):
    """A series by its name and its labels, in alphabetical order."""

    name: str
    labels: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, name: str, labels: Mapping[str, str]) -> Self:
        return cls(name, tuple(sorted(labels.items())))

    def with_labels(self, **labels: str) -> "Series":
        return Series.of(self.name, dict(self.labels) | labels)

    def matches(self, asked: "Series") -> bool:
        """Whether this has the name and all labels of *asked*, or more."""
        return self.name == asked.name and set(self.labels) >= set(asked.labels)

    def __str__(self) -> str:
        labels = ",".join(f'{name}="{value}"' for name, value in self.labels)
        return f"{self.name}{{{labels}}}"


def scraped(text: str) -> dict[Series, float]:
    """The series of a scrape with their values, without those that the client adds about creation times."""
    return {
        Series.of(sample.name, sample.labels): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def parse(text: str) -> Series:
    """The series that *text* names."""
    name, _, labels = text.partition("{")
    pairs = [pair.partition("=") for pair in labels.removesuffix("}").split('",') if pair]
    return Series.of(name, {label: value.strip('"') for label, _, value in pairs})


def written(values: Sequence[float | None]) -> str:
    """Values as promtool reads them: what repeats is counted."""
    return " ".join(_run(value, len(list(run))) for value, run in groupby(values))


def read(text: str) -> Values:
    """The values that :func:`written` wrote."""
    return tuple(_values(text))


def _run(value: float | None, times: int) -> str:
    if value is None:
        return f"_x{times}"
    return f"{value:.12g}+0x{times - 1}"


def _values(text: str) -> Iterator[float | None]:
    for run in text.split():
        value, _, times = run.rpartition("x")
        if value == "_":
            yield from [None] * int(times)
        else:
            yield from [float(value.removesuffix("+0"))] * (int(times) + 1)
