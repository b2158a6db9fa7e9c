"""When a node is given up."""

from itertools import pairwise

import pytest

from node_fsm.node.exit import Remedy
from node_fsm.node.limits import NodeLimits
from node_fsm.node.vitals import Vitals, start_delay

LIMITS = NodeLimits(
    first_delay=1, longest_delay=30, repair_delay=60, silent=30, stalled=30, stalled_slots=10, steady=60
)


@pytest.fixture
def vitals() -> Vitals:
    """Of a node started at 100."""
    vitals = Vitals(LIMITS, slot_duration=1)
    vitals.starting()
    vitals.answered(100)
    return vitals


def reason(vitals: Vitals, now: float, *, own_fault: bool = True) -> str | None:
    end = vitals.given_up(now, own_fault=own_fault)
    return end.reason if end else None


def test_silence_is_counted_from_the_start_and_from_every_answer(vitals: Vitals) -> None:
    assert reason(vitals, 129) is None
    assert reason(vitals, 130) == "NodeHung"
    vitals.answered(129)
    assert reason(vitals, 158) is None
    assert reason(vitals, 159) == "NodeHung"


def test_a_node_that_loads_its_chain_has_all_the_time_it_needs(vitals: Vitals) -> None:
    for now in range(100, 4000, 10):
        vitals.answered(now)
        assert reason(vitals, now) is None
        assert vitals.stalled(now) is None


@pytest.mark.parametrize(("slot_duration", "patience"), [(1, 30), (20, 200)])
def test_the_only_node_is_restarted_once_per_period_while_its_chain_stands_still(
    slot_duration: int, patience: int
) -> None:
    vitals = Vitals(LIMITS, slot_duration)
    given_up = []
    vitals.running("tip", 0)
    for now in range(1, 4 * patience):
        vitals.running("tip", now)
        if reason(vitals, now) == "ChainStandsStill":
            given_up.append(now)
            vitals.starting()
    assert len(given_up) == 3
    assert all(patience <= later - earlier <= patience + 1 for earlier, later in pairwise([0, *given_up]))


def test_a_standing_chain_is_told_also_across_restarts(vitals: Vitals) -> None:
    vitals.running("tip", 100)
    assert vitals.stalled(129) is None
    vitals.starting()
    vitals.running("tip", 131)
    assert vitals.stalled(131) == 31
    assert reason(vitals, 131) is None
    vitals.running("next", 132)
    assert vitals.stalled(140) is None


def test_among_several_nodes_a_standing_chain_may_be_the_fault_of_others(vitals: Vitals) -> None:
    for now in range(100, 400):
        vitals.running("tip", now)
    assert vitals.stalled(399) == 299
    assert reason(vitals, 399, own_fault=False) is None


def test_only_a_long_run_counts_as_steady(vitals: Vitals) -> None:
    assert not vitals.steady(1000)
    vitals.running("tip", 110)
    assert not vitals.steady(169)
    assert vitals.steady(170)
    vitals.starting()
    assert not vitals.steady(1000)


def test_starts_are_delayed_longer_and_longer_up_to_a_limit() -> None:
    for failures, expected in enumerate([1, 2, 4, 8, 16, *[30] * 2000], 1):
        assert 0.75 * expected <= start_delay(LIMITS, Remedy.RESTART, failures) <= expected
    assert len({start_delay(LIMITS, Remedy.RESTART, 1) for _ in range(10)}) > 1


@pytest.mark.parametrize("remedy", [Remedy.REPAIR, Remedy.SET_ASIDE])
def test_what_a_restart_does_not_heal_is_tried_again_slowly(remedy: Remedy) -> None:
    assert {start_delay(LIMITS, remedy, failures) for failures in (1, 100)} == {60}
