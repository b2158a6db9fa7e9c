"""What must be rejected in the demo, and for what."""

from pathlib import Path
from typing import Any, cast

import pytest
from node_fsm_sandbox.demo.act import OUT_OF_TIME, TWICE, VOTED_ALREADY, Act
from node_fsm_sandbox.demo.ballot_box import BallotBox

from tests.support.drawn import drawn

REASONS = (f"This account {VOTED_ALREADY}", f"no vote at the moment, {OUT_OF_TIME} 0.12 to 0.48.", "no such plan")


class Box:
    """Has each vote rejected for one reason."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    async def cast(self, ballots: Any) -> list[str]:
        return ["vote"]

    async def rejection(self, fragment_id: str, seconds: float) -> str:
        return self._reason


class Display:
    def tell(self, what: str) -> None:
        assert what.startswith("first: the vote is rejected")


@pytest.mark.parametrize(("expected", "right"), [(TWICE, (True, True, False)), ((OUT_OF_TIME,), (False, True, False))])
async def test_a_second_vote_may_be_too_late_on_a_slow_machine_and_a_late_one_is(
    expected: tuple[str, ...], right: tuple[bool, ...]
) -> None:
    act = Act(drawn(), [], cast("Any", None), cast("Any", None), cast("Any", Display()), {}, Path())
    boxes = [cast("BallotBox", Box(reason)) for reason in REASONS]
    problems = [await act._rejected(box, drawn().again, "vote", *expected) for box in boxes]
    assert [found == [] for found in problems] == list(right)
