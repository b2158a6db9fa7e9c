"""Which election is the current one, and when it is closed or due."""

from dataclasses import replace
from datetime import timedelta

import pytest

from node_fsm.core.current import closing_time, current, due_time, is_closed, with_what_is_here
from node_fsm.core.model import ElectionOverview, Overview
from node_fsm.core.phases import Role
from node_fsm.core.view import UNKNOWN, LocalChain
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


@pytest.mark.parametrize("is_published", [True, False])
@pytest.mark.parametrize("role", Role)
def test_of_two_published_elections_the_one_whose_chain_is_here_goes_first(role: Role, is_published: bool) -> None:
    """A database of before may have an earlier one that was archived long ago, and not know yet what runs."""
    earlier = worlds.election(worlds.block0("0b" * 32, later=-worlds.HOUR), id_=8, name="winter", later=-worlds.HOUR)
    own = worlds.election(worlds.block0() if is_published else None)
    here = LocalChain(worlds.ID, worlds.HASH, has_blocks=True, has_publication=role is Role.LEADER0)
    known, now, policy = worlds.overview(earlier, own), worlds.VOTING_START, worlds.policy(role)
    chosen = current(with_what_is_here(known, [here], policy), now, policy)
    assert chosen
    assert chosen.id == own.id
    assert current(known, now, policy) == earlier
    later = worlds.election(worlds.block0("0d" * 32, later=worlds.HOUR), id_=9, name="summer", later=worlds.HOUR)
    chosen = current(with_what_is_here(worlds.overview(earlier, own, later), [here], policy), now, policy)
    assert chosen
    assert chosen.id == (own.id if is_published else later.id), "leader 0 has gone on to that"
    waited = current(with_what_is_here(known, [here], policy), worlds.CLOSE, policy)
    gives_way = role is Role.NODE
    assert (waited is None) == gives_way, "another node lets go in time; leader 0 never does by itself"
    if role is Role.LEADER0 and not is_published:
        marked = with_what_is_here(known, [here], policy)
        assert current(marked, now, policy, unbuildable=[own.id]) == earlier, (
            "it is not held up by what cannot be put back"
        )


@pytest.mark.parametrize(
    "overview",
    [
        worlds.overview(worlds.election(), withdrawn=[worlds.HASH]),
        worlds.overview(worlds.election(), archived=[worlds.HASH]),
        worlds.overview(worlds.election(cancelled=True)),
        worlds.overview(worlds.election(worlds.block0())),
    ],
    ids=["withdrawn", "archived", "cancelled", "published"],
)
def test_nothing_is_forgotten_of_what_is_over_or_stands(overview: Overview) -> None:
    policy = worlds.policy(Role.LEADER0)
    kept = LocalChain(worlds.ID, worlds.HASH, has_blocks=True, has_publication=True)
    assert not with_what_is_here(overview, [kept], policy).elections[0].forgotten
    bare = replace(kept, has_blocks=False)
    assert with_what_is_here(worlds.overview(worlds.election()), [bare], policy).elections[0].forgotten is False
