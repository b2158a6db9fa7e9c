"""What the engine sees cannot be changed by those it is shown to, and unknown is never mistaken for absent."""

import copy
import pickle
from dataclasses import FrozenInstanceError

import pytest

from node_fsm.core.errors import PermanentError, TemporaryError
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


def test_unknown_stays_itself_and_is_not_absent() -> None:
    assert copy.deepcopy(UNKNOWN) is UNKNOWN
    assert pickle.loads(pickle.dumps(UNKNOWN)) is UNKNOWN  # noqa: S301 - our own bytes
    assert UNKNOWN is not None


def test_an_overview_finds_elections_and_nodes_by_name() -> None:
    spring, summer = worlds.election(), worlds.election(id_=8, name="summer")
    overview = worlds.overview(spring, summer)
    assert overview.election(8) is summer
    assert overview.election(9) is None
    assert overview.node("node1") is None


@pytest.mark.parametrize("kind", [TemporaryError, PermanentError])
def test_errors_say_reason_and_message(kind: type[TemporaryError | PermanentError]) -> None:
    error = kind("KeyMissing", "put the key there")
    assert (error.reason, error.message, str(error)) == (
        "KeyMissing",
        "put the key there",
        "KeyMissing: put the key there",
    )
