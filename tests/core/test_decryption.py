"""How long decryption takes by a machine's speed."""

from dataclasses import replace
from math import inf, nan

import pytest

from node_fsm.core.decryption import DecryptionSpeed

SPEED = DecryptionSpeed(jcli="jcli 0.13.0", cores=2, call=0.5, share=1e-3, table_step=1e-5, search_step=1e-4)


def test_a_plan_takes_a_call_its_shares_a_table_and_a_search_for_each_proposal() -> None:
    shares = 3 * (2 + 4) * 1e-3
    table = 2 * 10**4 * 1e-5
    search = (2 * 10**4 / 2 + 2 + 4) * 1e-4

    assert SPEED.of_plan(10**8, [2, 4], members=3) == pytest.approx(0.5 + shares + table + search)


def test_a_hundred_times_the_power_takes_ten_times_as_long() -> None:
    free = replace(SPEED, call=0.0, share=0.0)

    assert free.of_plan(10**14, [3], 1) == pytest.approx(10 * free.of_plan(10**12, [3], 1), rel=1e-3)


def test_as_many_plans_are_decrypted_at_a_time_as_there_are_cores() -> None:
    assert SPEED.side_by_side([4, 4, 4]) == 8
    assert SPEED.side_by_side([1, 1, 5]) == 6
    assert replace(SPEED, cores=3).side_by_side([1, 1, 5]) == 5
    assert SPEED.side_by_side([]) == 0


def test_it_comes_back_out_of_a_document() -> None:
    assert DecryptionSpeed.parse(SPEED.document()) == SPEED


@pytest.mark.parametrize(
    "changes",
    [
        {"cores": 0},
        {"cores": 2.0},
        {"cores": True},
        {"jcli": 13},
        {"share": -1e-3},
        {"call": nan},
        {"table_step": inf},
        {"search_step": "1"},
        {"another": 1},
    ],
)
def test_what_somebody_wrote_by_hand_is_no_speed(changes: dict[str, object]) -> None:
    assert DecryptionSpeed.parse(SPEED.document() | changes) is None


@pytest.mark.parametrize("document", [None, [], "fast", {}])
def test_something_else_is_no_speed(document: object) -> None:
    assert DecryptionSpeed.parse(document) is None
