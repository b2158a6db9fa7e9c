"""Whose turn it is: round-robin within an epoch, never in its first slot."""

from datetime import timedelta

import pytest
from node_fsm_sandbox.node.leader import next_turn

from node_fsm.core.chain_time import BlockDate
from tests.sandbox_node.world import LEADERS, SLOTS_PER_EPOCH, START, VOTERS, World

PARAMETERS = World().chain.ledger.parameters


@pytest.mark.parametrize(
    ("now", "leader", "date"),
    [
        (0.0, 0, (0, 2)),
        (0.0, 1, (0, 1)),
        (1.0, 1, (0, 3)),
        (1.9, 0, (0, 2)),
        (SLOTS_PER_EPOCH - 2, 0, (1, 2)),
        (SLOTS_PER_EPOCH - 2, 1, (0, SLOTS_PER_EPOCH - 1)),
        (SLOTS_PER_EPOCH, 0, (1, 2)),
    ],
)
def test_next_turn(now: float, leader: int, date: tuple[int, int]) -> None:
    found = next_turn(PARAMETERS, LEADERS[leader].public_key, START + timedelta(seconds=now))
    assert found == BlockDate(*date)


def test_who_is_no_leader_has_no_turn() -> None:
    assert next_turn(PARAMETERS, VOTERS[0].public_key, START) is None


def test_a_leader_of_the_first_slot_alone_has_no_turn() -> None:
    starved = PARAMETERS._replace(leaders=tuple(key.public_key for key in [*LEADERS, *VOTERS] * 6))
    assert next_turn(starved, LEADERS[0].public_key, START) is not None
    lonely = PARAMETERS._replace(leaders=(LEADERS[0].public_key, *[VOTERS[0].public_key] * SLOTS_PER_EPOCH))
    assert next_turn(lonely, LEADERS[0].public_key, START) is None
