"""The conditions that a view alone tells."""

from dataclasses import replace
from datetime import datetime

import pytest

from node_fsm.core.conditions import ConditionType
from node_fsm.core.model import DisputedTally, ElectionOverview, LostVotes, UnreadableElection
from node_fsm.core.observe import observations
from node_fsm.core.phases import NODE_MUST_RUN, Phase, Role
from node_fsm.core.view import UNKNOWN, View, Work
from tests.core import worlds

SPRING = worlds.election(worlds.block0())
SUMMER = worlds.election(id_=8, name="summer", later=worlds.DAY)
SUMMER_DUE = worlds.DUE + worlds.DAY
RUNNING = worlds.work(worlds.block0())


def observed(
    view: View, *, now: datetime = SUMMER_DUE, work: Work | None = RUNNING, phase: Phase = Phase.RUNNING
) -> dict[ConditionType, tuple[str, str] | None]:
    return observations(phase, work, view, now, worlds.policy(Role.LEADER0))


def of(*elections: ElectionOverview) -> View:
    return worlds.view(worlds.overview(*elections))


def test_nothing_is_said_while_the_database_is_away() -> None:
    """Neither that a condition holds nor that it is over."""
    assert observed(worlds.view(UNKNOWN)) == {}


def test_only_leader0_looks_after_the_elections() -> None:
    policy = worlds.policy(Role.NODE)
    assert observations(Phase.RUNNING, RUNNING, of(SPRING, SUMMER), SUMMER_DUE, policy) == {"row_unreadable": None}


def test_all_is_well() -> None:
    nothing = {
        "block0_conflict": None,
        "election_late": None,
        "election_missed": None,
        "overlap": None,
        "row_unreadable": None,
        "tally_disputed": None,
        "votes_not_counted": None,
    }
    assert observed(of(SPRING, SUMMER), now=worlds.DUE) == nothing


def conflict(view: View, work: Work | None) -> tuple[str, str]:
    return observed(view, work=work)[ConditionType.BLOCK0_CONFLICT] or ("", "")


def test_another_block_0_than_that_of_the_chain_that_runs_is_told() -> None:
    other = worlds.election(worlds.block0("cd" * 32))
    reason, message = conflict(of(other), RUNNING)
    assert reason == "OtherBlock0Posted"
    assert all(hash_ in message for hash_ in ("cd" * 32, worlds.HASH))
    withdrawn = worlds.view(worlds.overview(other, withdrawn=[worlds.HASH]))
    assert conflict(withdrawn, RUNNING) == ("", ""), "that is the way of hot reload"
    assert conflict(of(SPRING), RUNNING) == ("", "")
    assert conflict(of(other), None) == ("", "")


def test_a_rival_chain_is_told_until_a_person_chooses() -> None:
    reason, message = conflict(of(replace(SPRING, rival="cd" * 32)), None)
    assert reason == "OtherChainHere"
    assert all(text in message for text in ("cd" * 32, worlds.HASH, "spring", "NODE_FSM_STORAGE_DIR", "cancel"))


@pytest.mark.parametrize("role", list(Role))
def test_rows_that_cannot_be_read_are_named_by_every_node(role: Role) -> None:
    rows = (UnreadableElection(1, "autumn", "its end is infinity"), UnreadableElection(2, "winter", "it has no plan"))
    view = worlds.view(replace(worlds.overview(SPRING), unreadable=rows))
    seen = observations(Phase.RUNNING, RUNNING, view, SUMMER_DUE, worlds.policy(role))
    reason, message = seen[ConditionType.ROW_UNREADABLE] or ("", "")
    assert reason == "RowUnreadable"
    assert "its end is infinity; it has no plan" in message


def test_lost_votes_are_told_with_their_number_and_weight_until_a_person_acknowledges_them() -> None:
    lost = replace(worlds.overview(SPRING), lost=(LostVotes("spring", "ab" * 32, 3, 210),))
    reason, message = observed(worlds.view(lost))[ConditionType.VOTES_NOT_COUNTED] or ("", "")
    assert reason == "InNoBlock"
    assert "spring: 3 of weight 210" in message
    assert "`node-fsm election acknowledge NAME`" in message


def test_a_count_that_nobody_confirmed_is_named_until_a_person_confirms_it() -> None:
    disputed = replace(worlds.overview(SPRING), disputed=(DisputedTally("autumn", "ab" * 32, "1 of 3 leaders"),))
    reason, message = observed(worlds.view(disputed))[ConditionType.TALLY_DISPUTED] or ("", "")
    assert reason == "MajorityMissing"
    assert "autumn: 1 of 3 leaders" in message
    assert "`node-fsm election confirm NAME`" in message


def test_an_election_is_late_from_half_of_its_lead_on_until_it_is_published() -> None:
    start = worlds.VOTING_START + worlds.DAY

    def late(*elections: ElectionOverview, now: datetime = start) -> tuple[str, str] | None:
        return observed(of(*elections), now=now, work=None, phase=Phase.WAITING)[ConditionType.ELECTION_LATE]

    half = SUMMER_DUE + (start - SUMMER_DUE) / 2
    assert late(SUMMER, now=half - worlds.INSTANT) is None
    for now, reason in ((half, "ChainNotBegun"), (start - worlds.INSTANT, "ChainNotBegun"), (start, "VotingNotOpen")):
        problem = late(SUMMER, now=now)
        assert problem is not None
        assert problem[0] == reason
        assert "summer (" in problem[1]
        assert start.isoformat() in problem[1]
    assert late(replace(SUMMER, block0=worlds.block0())) is None
    assert late(replace(SUMMER, cancelled=True)) is None


def test_missed_elections_are_named() -> None:
    missed = replace(worlds.overview(SPRING), missed=(worlds.election(id_=1, name="autumn"), SUMMER))
    reason, message = observed(worlds.view(missed))[ConditionType.ELECTION_MISSED] or ("", "")
    assert reason == "VotingEndPassed"
    assert "autumn, summer" in message
    assert "`node-fsm election cancel`" in message


@pytest.mark.parametrize("phase", sorted(NODE_MUST_RUN))
def test_an_election_that_is_due_while_another_is_in_work_overlaps(phase: Phase) -> None:
    assert observed(of(SPRING, SUMMER), now=SUMMER_DUE - worlds.INSTANT, phase=phase)[ConditionType.OVERLAP] is None
    reason, message = observed(of(SPRING, SUMMER), phase=phase)[ConditionType.OVERLAP] or ("", "")
    assert reason == "EarlierElectionRuns"
    assert "summer was due at 2030-01-08T11:00:00+00:00" in message
    assert f"spring is still {phase}" in message


@pytest.mark.parametrize(
    ("other", "now"),
    [
        (replace(SUMMER, cancelled=True), SUMMER_DUE),
        (replace(SUMMER, block0=worlds.block0("0c" * 32)), SUMMER_DUE),
        (SUMMER, worlds.VOTING_END + worlds.DAY),
    ],
    ids=["cancelled", "published", "voting ended"],
)
def test_what_will_not_be_begun_overlaps_nothing(other: ElectionOverview, now: datetime) -> None:
    assert observed(of(SPRING, other), now=now)[ConditionType.OVERLAP] is None


def test_without_a_chain_in_work_nothing_overlaps() -> None:
    assert observed(of(SUMMER), work=None, phase=Phase.WAITING)[ConditionType.OVERLAP] is None
    assert (
        observed(of(worlds.election(), SUMMER), work=worlds.work(), phase=Phase.FETCHING_KEY)[ConditionType.OVERLAP]
        is None
    )


def test_without_a_template_no_due_time_is_known() -> None:
    assert observed(worlds.view(worlds.overview(SPRING, SUMMER), slot_duration=UNKNOWN))[ConditionType.OVERLAP] is None
