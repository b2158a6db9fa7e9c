"""What the engine sees cannot be changed by those it is shown to, and unknown is never mistaken for absent."""

import copy
from dataclasses import FrozenInstanceError, replace

import pytest

from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.core.model import NodeRow
from node_fsm.core.view import UNKNOWN, Work
from tests.core import worlds


def test_work_takes_up_an_election_as_it_stands() -> None:
    assert Work.on(worlds.election()) == worlds.work()
    published = worlds.block0()
    assert Work.on(worlds.election(published, fingerprint="edited")) == worlds.work(published, fingerprint="edited")


@pytest.mark.parametrize(
    ("record", "field"),
    [
        (worlds.view(UNKNOWN), "overview"),
        (worlds.overview(), "elections"),
        (worlds.election(), "block0"),
        (worlds.work(), "block0"),
        (worlds.block0(), "hash"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_readings_are_immutable(record: object, field: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(record, field, None)


def test_unknown_survives_copying() -> None:
    """It is compared by identity."""
    assert copy.deepcopy(worlds.view(UNKNOWN)).overview is UNKNOWN


def test_an_overview_finds_elections_by_id_and_nodes_by_hostname() -> None:
    spring, summer = worlds.election(), worlds.election(id_=8, name="summer")
    node = NodeRow("node1", None, None)
    overview = replace(worlds.overview(spring, summer), nodes=(node,))
    assert overview.election(8) is summer
    assert overview.election(9) is None
    assert overview.node("node1") is node
    assert overview.node("node2") is None


@pytest.mark.parametrize("kind", [TemporaryError, PermanentError])
def test_errors_say_reason_and_message(kind: type[TemporaryError | PermanentError]) -> None:
    error = kind("KeyMissing", "put the key there")
    assert (error.reason, error.message, str(error)) == (
        "KeyMissing",
        "put the key there",
        "KeyMissing: put the key there",
    )
