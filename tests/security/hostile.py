"""What stands where something else should: values of the wrong kind, beyond all limits, or meant for a terminal."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

ESCAPE = "\x1b]0;gone\x07\x1b[2J\r\n2030-01-01T00:00:00.000Z INFO     forged \u202e<script>alert(1)</script>"
"""What a terminal obeys, a line that looks like one of the log's, and HTML."""

_WRONG: tuple[Any, ...] = (
    *(None, True, -1, 0, 1.5, 2**31, 2**63, 2**64, 10**30, 10**400, float("inf"), float("nan")),
    *("", "x" * 100_000, "9" * 5000, ESCAPE, "\0", "\ud800", "²", "1.5", "-1.0", "4294967296.0"),
    *("2026-01-01T00:00:00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"),
    *([], {}, [[]], [None], {"": None}, ["x"] * 1000),
)


def damaged(document: Any) -> st.SearchStrategy[Any]:
    """*document* with something else in one or two of its places, or as a whole."""
    once = st.builds(_put, st.just(document), st.sampled_from(list(_places(document))), st.sampled_from(_WRONG))
    return once | once.flatmap(
        lambda first: st.builds(_put, st.just(first), st.sampled_from(list(_places(first))), st.sampled_from(_WRONG))
    )


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from _places(part, (*place, key))


def _put(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    changed = around = deepcopy(document)
    for key in place[:-1]:
        around = around[key]
    around[place[-1]] = value
    return changed
