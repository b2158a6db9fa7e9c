"""An election whose private votes would take too long to be opened is refused, with what would be taken."""

from dataclasses import replace

import pytest

from node_fsm.block0.specification import Checked, check_specification
from node_fsm.core.decryption import DecryptionLimit, DecryptionSpeed
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import ElectionSpec, VotingGroup
from node_fsm.core.payload_type import PayloadType
from tests.block0.examples import DELEGATES, LEADER_ID, NODES, PRIVATE_OBJECTIVE, SPEC, TEMPLATE

SPEED = DecryptionSpeed(jcli="jcli", cores=1, call=0.0, share=0.0, table_step=1e-4, search_step=1e-4)


def with_power(tokens: int) -> ElectionSpec:
    """Three private proposals, and *tokens* to vote on each."""
    return replace(SPEC, groups=(SPEC.groups[0], VotingGroup(DELEGATES, voters=2, token_holders=2, tokens=tokens)))


def check(spec: ElectionSpec, seconds: float) -> Checked:
    return check_specification(spec, NODES, TEMPLATE, -60, LEADER_ID, decryption=DecryptionLimit(SPEED, seconds))


def test_what_takes_as_long_as_it_may_is_taken() -> None:
    needed = SPEED.of_plan(10**10, [3, 3, 3], 2)  # 20 s for the table, 5 s for each proposal

    assert needed == pytest.approx(35, rel=1e-3)
    assert check(with_power(10**10), needed)
    with pytest.raises(PermanentError):
        check(with_power(10**10), needed - 0.01)


def test_the_refusal_says_how_long_it_would_take_and_what_would_not() -> None:
    with pytest.raises(PermanentError) as caught:
        check(with_power(10**10), 4)

    assert caught.value.reason == "SpecificationInvalid"
    assert caught.value.message == (
        "election 'Spring': election.voting_power_unit is 1, so that the private votes of up to 10000000000 units on 3"
        " proposals would take about 35 s to decrypt, longer than the 4 s of NODE_FSM_MAX_DECRYPT_SECONDS; raise it to"
        " 100 (about 4 s), or let it take longer"
    )
    assert check(with_power(10**8), 4)


def test_where_no_unit_helps_none_is_named() -> None:
    slow = replace(SPEED, share=1.0)
    with pytest.raises(PermanentError, match="have fewer private proposals, or let it take longer"):
        check_specification(SPEC, NODES, TEMPLATE, -60, LEADER_ID, decryption=DecryptionLimit(slow, 4))


def test_public_votes_are_not_decrypted() -> None:
    public = replace(PRIVATE_OBJECTIVE, payload_type=PayloadType.PUBLIC)

    assert check(replace(with_power(10**18), objectives=(SPEC.objectives[0], public)), 1e-9)
    rich = replace(SPEC, groups=(replace(SPEC.groups[0], tokens=10**18), SPEC.groups[1]))
    assert check(rich, 1), "the power of a group without private votes does not matter"


def test_plans_of_several_groups_are_decrypted_side_by_side() -> None:
    both = replace(SPEC, objectives=(PRIVATE_OBJECTIVE, replace(PRIVATE_OBJECTIVE, id=3, voting_group="direct")))
    spec = replace(both, groups=tuple(replace(group, tokens=10**10) for group in SPEC.groups))
    limit = DecryptionLimit(replace(SPEED, cores=2), 36)

    assert check_specification(spec, NODES, TEMPLATE, -60, LEADER_ID, decryption=limit)
    with pytest.raises(PermanentError, match="on 6 proposals would take about 70 s"):
        check(spec, 36)
