"""Delays between attempts."""

import pytest

from node_fsm.core.backoff import JITTER, Backoff


def test_delays_double_up_to_the_longest_and_none_is_longer() -> None:
    backoff = Backoff(first=2, longest=30)
    for failures, expected in enumerate([2, 4, 8, 16, *[30] * 2000], 1):
        assert expected * (1 - JITTER) <= backoff.delay(failures) <= expected


def test_nodes_that_failed_together_do_not_try_again_together() -> None:
    assert len({Backoff(1, 60).delay(1) for _ in range(20)}) > 1


@pytest.mark.parametrize("failures", [1, 10**9])
def test_any_number_of_failures_has_a_delay(failures: int) -> None:
    assert 0 < Backoff(1, 60).delay(failures) <= 60
