"""Which election is the current one, and when it is closed or due."""

from datetime import timedelta

import pytest

from node_fsm.core.current import closing_time, current, due_time, is_closed
from node_fsm.core.model import ElectionOverview
from node_fsm.core.phases import Role
from node_fsm.core.view import UNKNOWN
from tests.core import worlds

SPRING = worlds.election()
SUMMER = worlds.election(id_=8, name="summer", later=30 * worlds.DAY)
BOTH_ROLES = pytest.mark.parametrize("role", Role)


def current_of(*elections: ElectionOverview, role: Role = Role.LEADER0, at: timedelta = timedelta(0)) -> str | None:
    """The current election's name *at* so long after voting_start."""
    election = current(worlds.overview(*elections), worlds.VOTING_START + at, worlds.policy(role))
    return election.name if election else None


@BOTH_ROLES
def test_without_elections_there_is_none(role: Role) -> None:
    assert current_of(role=role) is None


@BOTH_ROLES
def test_the_next_in_time_is_current_however_the_rows_are_ordered(role: Role) -> None:
    assert current_of(SUMMER, SPRING, role=role) == "spring"


@BOTH_ROLES
def test_of_two_at_the_same_time_the_lower_id_is_current(role: Role) -> None:
    twin = worlds.election(id_=worlds.ID + 1, name="twin")
    assert current_of(twin, SPRING, role=role) == "spring"


@BOTH_ROLES
def test_an_election_is_current_until_its_voting_ends(role: Role) -> None:
    length = worlds.VOTING_END - worlds.VOTING_START
    assert current_of(SPRING, SUMMER, role=role, at=length - worlds.INSTANT) == "spring"
    assert current_of(SPRING, SUMMER, role=role, at=length) == "summer"


@BOTH_ROLES
def test_a_cancelled_election_is_passed_over(role: Role) -> None:
    assert current_of(worlds.election(cancelled=True), SUMMER, role=role) == "summer"


@pytest.mark.parametrize(
    ("unbuildable", "name"), [((), "spring"), ((SPRING.id,), "summer"), ((SPRING.id, SUMMER.id), "spring")]
)
def test_one_that_cannot_be_built_gives_way_to_those_that_can(unbuildable: tuple[int, ...], name: str) -> None:
    elections = worlds.overview(SPRING, SUMMER)
    found = current(elections, worlds.VOTING_START, worlds.policy(Role.LEADER0), unbuildable)
    assert found is not None
    assert found.name == name


@BOTH_ROLES
def test_a_published_election_goes_before_an_earlier_one(role: Role) -> None:
    running = worlds.election(worlds.block0(), id_=8, name="summer", later=30 * worlds.DAY)
    assert current_of(SPRING, running, role=role) == "summer"


@BOTH_ROLES
def test_an_archived_election_makes_way(role: Role) -> None:
    done = worlds.election(worlds.block0(), archived=True, results_posted=True)
    assert current_of(done, SUMMER, role=role) == "summer"
    assert current_of(done, role=role) is None


def test_leader0_keeps_an_election_until_it_is_archived_and_other_nodes_until_the_grace_has_passed() -> None:
    running = worlds.election(worlds.block0())
    until_close = worlds.CLOSE - worlds.VOTING_START
    for at, node_has in ((until_close - worlds.INSTANT, "spring"), (until_close, "summer")):
        assert current_of(running, SUMMER, role=Role.LEADER0, at=at) == "spring"
        assert current_of(running, SUMMER, role=Role.NODE, at=at) == node_has


def test_the_grace_counts_from_the_dates_of_block0_and_not_of_the_row() -> None:
    edited = worlds.election(worlds.block0(), later=30 * worlds.DAY)
    assert is_closed(edited, worlds.CLOSE, worlds.policy(Role.NODE))


def test_an_unpublished_election_is_never_closed_by_the_clock() -> None:
    assert not is_closed(SPRING, worlds.CLOSE + worlds.DAY, worlds.policy(Role.NODE))


def test_closing_time_takes_fractions_of_a_minute() -> None:
    policy = worlds.policy(Role.NODE, grace_minutes=0.5)
    assert closing_time(worlds.TALLYING_END, policy) == worlds.TALLYING_END + timedelta(seconds=30)


def test_due_time_follows_the_row_and_the_offset() -> None:
    view = worlds.view(worlds.overview(SPRING))
    assert due_time(SPRING, view, worlds.policy(Role.LEADER0)) == worlds.DUE
    assert due_time(SPRING, view, worlds.policy(Role.LEADER0, offset_minutes=0)) == worlds.VOTING_START
    unreadable = worlds.view(worlds.overview(SPRING), slot_duration=UNKNOWN)
    assert due_time(SPRING, unreadable, worlds.policy(Role.LEADER0)) is None
