"""What a log says of the difference between two looks."""

from node_fsm_sandbox.demo.moment import changes

from node_fsm.core.phases import Phase
from tests.demo.examples import node, state


def test_nothing_new_is_not_told() -> None:
    running = state(Phase.RUNNING, "first", (("sandbox", "SandboxBinaries"),))
    assert list(changes(node(running, height=3), node(running, height=4))) == []


def test_a_new_phase_is_told_with_its_election() -> None:
    before, after = node(state(Phase.WAITING)), node(state(Phase.FETCHING_KEY, "first"))
    assert list(changes(before, after)) == ["leader0: FetchingKey (first)"]
    assert list(changes(after, before)) == ["leader0: Waiting"]


def test_conditions_are_told_when_they_come_change_and_go() -> None:
    without = node(state(Phase.WAITING))
    failing, worse = (node(state(Phase.WAITING, None, (("work_failing", why),))) for why in ("S3Down", "KeyWrong"))
    assert list(changes(without, failing)) == ["leader0: condition work_failing, S3Down"]
    assert list(changes(failing, worse)) == ["leader0: condition work_failing, KeyWrong"]
    assert list(changes(worse, without)) == ["leader0: condition work_failing is over"]


def test_a_service_that_dies_and_comes_back_is_told_once_each() -> None:
    running, dead = node(state(Phase.RUNNING, "first")), node(None)
    assert list(changes(running, dead)) == ["leader0: its service does not answer"]
    assert list(changes(dead, dead)) == []
    assert list(changes(dead, node(state(Phase.WAITING)))) == ["leader0: Waiting"]
