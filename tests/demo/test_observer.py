"""Waiting for what nodes do: nothing that is seen too late is waited for, and nothing for ever."""

from types import SimpleNamespace
from typing import cast

import pytest
from node_fsm_sandbox.demo import observer
from node_fsm_sandbox.demo.display import Display
from node_fsm_sandbox.demo.observer import Observer, is_back
from node_fsm_sandbox.election.cluster import Member
from node_fsm_sandbox.election.errors import SandboxError

from node_fsm.core.phases import Phase
from tests.demo.examples import node, state


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.TALLYING, Phase.ARCHIVING])
def test_a_node_that_was_killed_is_back_also_when_voting_is_over(phase: Phase) -> None:
    holds = is_back("first", 1)
    assert holds(node(state(phase, "first"), restarts=1))
    assert not holds(node(state(phase, "first"), restarts=0))


def test_a_node_is_not_back_before_it_works_on_the_chain() -> None:
    holds = is_back("first", 1)
    for view in (None, state(Phase.WAITING), state(Phase.FETCHING_KEY, "first"), state(Phase.RUNNING, "second")):
        assert not holds(node(view, restarts=1))


async def test_what_never_comes_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observer, "LONGEST_SECONDS", 0.05)
    members = [cast("Member", SimpleNamespace(hostname="leader0"))]
    with pytest.raises(SandboxError, match="leader0 did not go on within"):
        await Observer(members, cast("Display", None)).until(lambda _: False)
