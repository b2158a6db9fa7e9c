"""How times and sizes are said."""

from datetime import timedelta

import pytest

from node_fsm.sidecar.page.text import lasting, relative, size, told, utc
from tests.sidecar.page.scenes import NOW


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        *((0, "0 s"), (59.9, "59 s"), (60, "1 min"), (61, "1 min 1 s"), (3600, "1 h"), (3661, "1 h 1 min")),
        *((86400 * 2 + 3599, "2 d"), (86400 * 400 + 7200, "400 d 2 h")),
    ],
)
def test_lengths_of_time(seconds: float, said: str) -> None:
    assert lasting(timedelta(seconds=seconds)) == said
    assert relative(NOW + timedelta(seconds=seconds), NOW) == (f"in {said}" if seconds else "0 s ago")
    assert relative(NOW - timedelta(seconds=seconds), NOW) == f"{said} ago"


def test_moments_are_utc() -> None:
    assert utc(NOW) == "2026-03-08 11:20:30 UTC"


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (48_211_932, "48.2 MB"), (10**9, "1 GB"), (5 * 10**12, "5000 GB")],
)
def test_sizes(count: int, said: str) -> None:
    assert size(count) == said


def test_what_is_not_seen_is_shown() -> None:
    assert told("a\x00b\u202ec\nd") == "a\ufffdb\ufffdc\nd"
