from datetime import UTC, datetime, timedelta

import pytest

from node_fsm.cli.times import span, when

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("length", "said"),
    [
        ({"seconds": 0.4}, "0 s"),
        ({"seconds": 59.6}, "1 min"),
        ({"minutes": 12, "seconds": 5}, "12 min 5 s"),
        ({"hours": 3}, "3 h"),
        ({"days": 1, "minutes": 3}, "1 d"),
        ({"days": 4, "hours": 23, "minutes": 59}, "4 d 23 h"),
        ({"days": -2}, "2 d"),
    ],
)
def test_a_span_is_said_in_its_two_largest_units(length: dict[str, float], said: str) -> None:
    assert span(timedelta(**length)) == said


def test_a_moment_is_ahead_or_past() -> None:
    assert when(NOW + timedelta(hours=2), NOW) == "in 2 h"
    assert when(NOW - timedelta(seconds=3), NOW) == "3 s ago"
