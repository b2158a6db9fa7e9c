"""Conditions come, change and go; everybody who listens is told exactly then."""

from datetime import UTC, datetime, timedelta

import pytest

from node_fsm.core.conditions import Condition, Conditions, ConditionType

START = datetime(2030, 1, 1, tzinfo=UTC)


class Told:
    """Conditions under a clock that goes on a minute at each look, with a listener that keeps what it is told."""

    def __init__(self) -> None:
        self.now = START
        self.conditions = Conditions(self.tick)
        self.heard: list[tuple[str, Condition | None]] = []
        self.conditions.listeners.append(lambda type_, condition: self.heard.append((type_, condition)))

    def tick(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


@pytest.fixture
def told() -> Told:
    return Told()


FIRST = START + timedelta(minutes=1)
SECOND = START + timedelta(minutes=2)


def test_a_new_condition_is_held_and_told(told: Told) -> None:
    told.conditions.raise_(ConditionType.OVERLAP, "EarlierElectionRuns", "wait")
    expected = Condition(ConditionType.OVERLAP, "EarlierElectionRuns", "wait", FIRST)
    assert list(told.conditions) == [expected]
    assert told.heard == [(ConditionType.OVERLAP, expected)]
    assert ConditionType.OVERLAP in told.conditions


def test_raised_again_it_is_not_told_again(told: Told) -> None:
    for _ in range(3):
        told.conditions.raise_(ConditionType.OVERLAP, "EarlierElectionRuns", "wait")
    assert len(told.heard) == 1
    assert [condition.since for condition in told.conditions] == [FIRST]


def test_another_message_is_told_but_it_is_the_same_trouble(told: Told) -> None:
    told.conditions.raise_(ConditionType.WORK_FAILING, "StoreUnavailable", "attempt 1")
    told.conditions.raise_(ConditionType.WORK_FAILING, "StoreUnavailable", "attempt 2")
    expected = Condition(ConditionType.WORK_FAILING, "StoreUnavailable", "attempt 2", FIRST)
    assert list(told.conditions) == [expected]
    assert told.heard[-1] == (ConditionType.WORK_FAILING, expected)
    assert len(told.heard) == 2


def test_another_reason_begins_anew(told: Told) -> None:
    told.conditions.raise_(ConditionType.WORK_FAILING, "StoreUnavailable", "no answer")
    told.conditions.raise_(ConditionType.WORK_FAILING, "KeyMissing", "no answer")
    assert [(condition.reason, condition.since) for condition in told.conditions] == [("KeyMissing", SECOND)]


def test_a_condition_that_goes_is_told_once(told: Told) -> None:
    told.conditions.raise_(ConditionType.OVERLAP, "EarlierElectionRuns", "wait")
    told.conditions.clear(ConditionType.OVERLAP)
    told.conditions.clear(ConditionType.OVERLAP)
    assert told.heard[1:] == [(ConditionType.OVERLAP, None)]
    assert ConditionType.OVERLAP not in told.conditions
    assert list(told.conditions) == []


def test_what_never_held_goes_unnoticed(told: Told) -> None:
    told.conditions.clear(ConditionType.OVERLAP)
    assert told.heard == []


def test_a_condition_that_comes_back_begins_anew(told: Told) -> None:
    told.conditions.raise_(ConditionType.OVERLAP, "EarlierElectionRuns", "wait")
    told.conditions.clear(ConditionType.OVERLAP)
    told.conditions.raise_(ConditionType.OVERLAP, "EarlierElectionRuns", "wait")
    assert [condition.since for condition in told.conditions] == [SECOND]


def test_set_raises_and_clears(told: Told) -> None:
    told.conditions.set(ConditionType.OVERLAP, ("EarlierElectionRuns", "wait"))
    assert ConditionType.OVERLAP in told.conditions
    told.conditions.set(ConditionType.OVERLAP, None)
    assert ConditionType.OVERLAP not in told.conditions


def test_conditions_are_listed_by_type(told: Told) -> None:
    for type_ in (ConditionType.SPEC_DRIFT, ConditionType.DATABASE_UNAVAILABLE, ConditionType.OVERLAP):
        told.conditions.raise_(type_, "Reason", "message")
    assert [condition.type for condition in told.conditions] == ["database_unavailable", "overlap", "spec_drift"]


def test_conditions_may_change_while_they_are_gone_through(told: Told) -> None:
    for type_ in (ConditionType.SPEC_DRIFT, ConditionType.OVERLAP):
        told.conditions.raise_(type_, "Reason", "message")
    for condition in told.conditions:
        told.conditions.clear(condition.type)
    assert list(told.conditions) == []


def test_every_listener_is_told(told: Told) -> None:
    other: list[str] = []
    told.conditions.listeners.append(lambda type_, _: other.append(type_))
    told.conditions.raise_(ConditionType.OVERLAP, "EarlierElectionRuns", "wait")
    assert other == [ConditionType.OVERLAP]
    assert len(told.heard) == 1
