"""The recorded election: what Prometheus reads of three services that nothing bothers."""

from functools import cache
from pathlib import Path

from tests.monitoring.series import Series, Values, parse, read

FILE = Path(__file__).with_name("undisturbed.txt")

INTERVAL = 15
"""Seconds between two readings when the recording is played: as Prometheus reads by default.

It was made once a second, of an election that takes a minute; played 15 times as slowly, its phases last as long as
alerts wait, and a second in which a node is not up is a quarter of a minute.
"""


@cache
def recording() -> dict[Series, Values]:
    """Every series with its values, one for each reading; timestamps count seconds from the first of them."""
    lines = [line.rpartition("} ") for line in FILE.read_text().splitlines()]
    return {parse(series): read(values) for series, _, values in lines}


def first(series: str, value: float) -> int:
    """The reading at which a series has *value* for the first time, that of any service if it names none."""
    asked = parse(series)
    found = [values.index(value) for key, values in recording().items() if key.matches(asked) and value in values]
    assert found, f"{series} is never {value:g} in the recording; record anew: python -m tests.monitoring.record"
    return min(found)


def played() -> dict[Series, Values]:
    """The whole recording, at the pace of INTERVAL."""
    return {
        series: tuple(None if value is None else value * INTERVAL for value in values) if _is_time(series) else values
        for series, values in recording().items()
    }


def held(at: int, minutes: int) -> dict[Series, Values]:
    """The cluster as it was at one reading, a value for each minute: it stands still, and its engines look on.

    Of its election an hour is left, or gone, for each second in the recording.
    """
    return {
        series: _held(series, value - at if _is_time(series) else value, minutes)
        for series, values in recording().items()
        if (value := values[at]) is not None
    }


def _held(series: Series, value: float, minutes: int) -> Values:
    if series.name == "node_fsm_engine_tick_timestamp_seconds":
        return tuple(60.0 * minute for minute in range(minutes))
    hours = 3600 if series.name == "node_fsm_election_timestamp_seconds" else 1
    return (value * hours,) * minutes


def _is_time(series: Series) -> bool:
    return series.name.endswith("_timestamp_seconds")
