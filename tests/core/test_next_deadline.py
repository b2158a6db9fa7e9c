"""The engine may sleep until the next deadline: before it, the clock alone changes no decision."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node_fsm.core.decide import LAST_ATTEMPTS, deadlines_ahead, decide
from node_fsm.core.phases import Phase, Role
from node_fsm.core.view import UNKNOWN, Deadline, View, Work
from tests.core import worlds
from tests.core.facts import FAILURES, LOCALS, MOMENTS, OTHERS, ROWS, STAGES, TIPS, Facts, Stage, all_facts


def deadline(
    phase: Phase, now: datetime, view: View, work: Work | None = None, role: Role = Role.LEADER0
) -> Deadline | None:
    return next(iter(deadlines_ahead(phase, work, view, now, worlds.policy(role))), None)


def of_the_election(name: str, at: datetime) -> Deadline:
    return Deadline(name, at, worlds.election().name)


UNPUBLISHED = worlds.view(worlds.overview(worlds.election()))
PUBLISHED = worlds.view(worlds.overview(worlds.election(worlds.block0())))
BEFORE_DUE = worlds.DUE - worlds.DAY


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (BEFORE_DUE, of_the_election("chain_start", worlds.DUE)),
        (worlds.DUE, of_the_election("voting_start", worlds.VOTING_START)),
        (worlds.VOTING_START, of_the_election("voting_end", worlds.VOTING_END)),
        (worlds.VOTING_END, None),
    ],
)
def test_an_unpublished_election_is_looked_forward_to_by_its_row(
    now: datetime, expected: Deadline | None, role: Role
) -> None:
    assert deadline(Phase.WAITING, now, UNPUBLISHED, role=role) == expected


def test_without_a_template_the_start_of_the_chain_is_not_known() -> None:
    view = replace(UNPUBLISHED, slot_duration=UNKNOWN)
    assert deadline(Phase.WAITING, BEFORE_DUE, view) == of_the_election("voting_start", worlds.VOTING_START)


@pytest.mark.parametrize("phase", [Phase.FETCHING_KEY, Phase.BUILDING_VOTE_PLAN, Phase.GENERATING_BLOCK0])
def test_the_end_of_voting_limits_the_work_before_publication(phase: Phase) -> None:
    expected = of_the_election("voting_end", worlds.VOTING_END)
    assert deadline(phase, worlds.VOTING_START, UNPUBLISHED, worlds.work()) == expected


@pytest.mark.parametrize("view", [PUBLISHED, worlds.view(UNKNOWN)], ids=["database known", "database away"])
@pytest.mark.parametrize(("phase", "role"), [(Phase.RUNNING, role) for role in Role] + [(Phase.TALLYING, Role.LEADER0)])
def test_a_chain_is_followed_by_its_own_dates(phase: Phase, role: Role, view: View) -> None:
    """They come from block 0 in work: an edited row or a lost database changes none."""
    dates = worlds.dates(worlds.HOUR)
    work = worlds.work(worlds.block0(later=worlds.HOUR))
    expected = [
        of_the_election("voting_end", dates.vote_end_time),
        of_the_election("tallying_end", dates.committee_end_time),
        of_the_election("close", dates.committee_end_time + worlds.HOUR),
    ]
    nows = [worlds.VOTING_START, dates.vote_end_time, dates.committee_end_time]
    assert [deadline(phase, now, view, work, role) for now in nows] == expected
    given_up = of_the_election("give_up", expected[-1].at + LAST_ATTEMPTS) if phase is Phase.TALLYING else None
    assert deadline(phase, expected[-1].at, view, work, role) == given_up
    assert deadline(phase, expected[-1].at + LAST_ATTEMPTS, view, work, role) is None


@pytest.mark.parametrize("phase", [Phase.ARCHIVING, Phase.RESET])
def test_the_clock_does_not_touch_the_end_of_a_life(phase: Phase) -> None:
    assert deadline(phase, worlds.VOTING_START, PUBLISHED, worlds.work(worlds.block0())) is None


def test_nothing_is_looked_forward_to_without_an_election() -> None:
    assert deadline(Phase.WAITING, BEFORE_DUE, worlds.view(worlds.overview())) is None
    assert deadline(Phase.WAITING, BEFORE_DUE, worlds.view(UNKNOWN)) is None


@pytest.mark.parametrize("stage", STAGES, ids=str)
def test_no_decision_is_slept_through_in_any_world(stage: Stage) -> None:
    for facts in all_facts(stage, moments=MOMENTS[:1]):
        view = facts.view()
        decisions = [decide(stage.phase, stage.work, view, moment, facts.policy) for moment in MOMENTS]
        for position, quiet in enumerate(MOMENTS):
            decided = [moment for moment, decision in zip(MOMENTS, decisions, strict=True) if decision]
            later = next((moment for moment in decided if moment > quiet), None)
            if later and decisions[position] is None:
                ahead = next(iter(deadlines_ahead(stage.phase, stage.work, view, quiet, facts.policy)), None)
                assert ahead, facts
                assert quiet < ahead.at <= later, facts


TIMES = st.builds(
    datetime.__add__,
    st.sampled_from([*MOMENTS, worlds.VOTING_START, worlds.TALLYING_END]),
    st.one_of(
        st.sampled_from([-worlds.INSTANT, timedelta(0), worlds.INSTANT]),
        st.timedeltas(min_value=-2 * worlds.DAY, max_value=2 * worlds.DAY),
    ),
)
MINUTES = st.floats(min_value=0, max_value=3 * 24 * 60)
FACTS = st.builds(
    Facts,
    stage=st.sampled_from(STAGES),
    row=st.sampled_from(ROWS),
    other=st.sampled_from(OTHERS),
    local=st.sampled_from(LOCALS),
    now=TIMES,
    slot_known=st.booleans(),
    tip=st.sampled_from(TIPS),
    failure=st.sampled_from(FAILURES),
)


@settings(max_examples=1000)
@given(facts=FACTS, later=TIMES, lead=MINUTES, grace=MINUTES)
def test_no_decision_is_slept_through_at_any_time(facts: Facts, later: datetime, lead: float, grace: float) -> None:
    """Nor is a deadline ever behind, whatever the settings."""
    stage, view = facts.stage, facts.view()
    policy = worlds.policy(stage.role, offset_minutes=-lead, grace_minutes=grace)
    ahead = next(iter(deadlines_ahead(stage.phase, stage.work, view, facts.now, policy)), None)
    assert ahead is None or ahead.at > facts.now
    quiet = decide(stage.phase, stage.work, view, facts.now, policy) is None
    asleep = facts.now < later and (ahead is None or later < ahead.at)
    if quiet and asleep:
        assert decide(stage.phase, stage.work, view, later, policy) is None
