"""The names and values that Prometheus reads."""

import asyncio
import errno
import re
from datetime import UTC, datetime

import pytest
from prometheus_client import generate_latest

from node_fsm.core.conditions import ConditionType
from node_fsm.core.errors import as_service_error
from node_fsm.core.events import Event
from node_fsm.core.phases import Phase, Role
from node_fsm.core.table import TABLES, phases_of
from node_fsm.core.view import Deadline
from node_fsm.metrics import Metrics
from tests.core import worlds

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(Role.LEADER0)


def samples(metrics: Metrics, prefix: str) -> list[str]:
    """The lines whose name begins with *prefix*, without the creation times that the client adds."""
    lines = generate_latest(metrics.registry).decode().splitlines()
    return [line for line in lines if line.startswith(prefix) and "_created" not in line]


def test_the_phase_is_one_series_for_each_phase_and_one_of_them_is_1(metrics: Metrics) -> None:
    metrics.entered(Phase.TALLYING, AT)
    metrics.entered(Phase.RUNNING, AT)
    assert samples(metrics, "node_fsm_phase{") == [
        'node_fsm_phase{node_fsm_phase="Waiting"} 0.0',
        'node_fsm_phase{node_fsm_phase="FetchingKey"} 0.0',
        'node_fsm_phase{node_fsm_phase="BuildingVotePlan"} 0.0',
        'node_fsm_phase{node_fsm_phase="GeneratingBlock0"} 0.0',
        'node_fsm_phase{node_fsm_phase="Running"} 1.0',
        'node_fsm_phase{node_fsm_phase="Tallying"} 0.0',
        'node_fsm_phase{node_fsm_phase="Archiving"} 0.0',
        'node_fsm_phase{node_fsm_phase="Reset"} 0.0',
    ]
    assert samples(metrics, "node_fsm_phase_entered") == ["node_fsm_phase_entered_timestamp_seconds 1.7723664e+09"]


@pytest.mark.parametrize("role", Role)
def test_every_transition_of_the_role_stands_at_0_from_the_start(role: Role) -> None:
    metrics = Metrics(role)
    for row in TABLES[role]:
        labels: dict[str, str] = {"source": row.source, "event": row.event, "target": row.target}
        assert metrics.registry.get_sample_value("node_fsm_transitions_total", labels) == 0
    assert len(samples(metrics, "node_fsm_transitions_total{")) == len(TABLES[role])


def test_a_transition_counts_and_times_the_phase_that_ended(metrics: Metrics) -> None:
    metrics.transition(Phase.RUNNING, Event.VOTING_ENDED, Phase.TALLYING, 7 * 86400)
    labels = {"source": "Running", "event": "voting_ended", "target": "Tallying"}
    assert metrics.registry.get_sample_value("node_fsm_transitions_total", labels) == 1
    assert metrics.registry.get_sample_value("node_fsm_phase_duration_seconds_sum", {"phase": "Running"}) == 604800


def test_only_the_present_deadline_is_exported(metrics: Metrics) -> None:
    metrics.deadline(Deadline("chain_start", AT))
    metrics.deadline(Deadline("voting_end", AT))
    assert samples(metrics, "node_fsm_next_deadline") == [
        'node_fsm_next_deadline_timestamp_seconds{deadline="voting_end"} 1.7723664e+09'
    ]
    metrics.deadline(None)
    assert samples(metrics, "node_fsm_next_deadline") == []


def test_conditions_are_1_while_they_hold_and_all_stand_at_0_from_the_start(metrics: Metrics) -> None:
    metrics.condition_changed(ConditionType.SPEC_DRIFT, True)
    metrics.condition_changed(ConditionType.OVERLAP, True)
    metrics.condition_changed(ConditionType.OVERLAP, False)
    assert samples(metrics, "node_fsm_condition{") == [
        f'node_fsm_condition{{type="{type_}"}} {float(type_ == "spec_drift")}' for type_ in ConditionType
    ]


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    "error",
    [
        *(OSError(number, "") for number in (errno.EMFILE, errno.EAGAIN, errno.ENOMEM, errno.EIO)),
        *(MemoryError(), RuntimeError("can't start new thread"), KeyError("a defect")),
    ],
    ids=repr,
)
def test_failures_that_any_phase_may_have_stand_at_0_from_the_start(role: Role, error: Exception) -> None:
    for phase in phases_of(TABLES[role]):
        labels: dict[str, str] = {"phase": phase, "reason": as_service_error(error, "the work").reason}
        assert Metrics(role).registry.get_sample_value("node_fsm_failures_total", labels) == 0


def test_what_is_not_known_has_no_series(metrics: Metrics) -> None:
    names = (
        *("phase_entered_timestamp_seconds", "engine_tick_timestamp_seconds", "clock_offset_seconds"),
        *("chain_height", "last_block_timestamp_seconds", "votes_cast", "block0_bytes", "election_info"),
        *("results_posted_timestamp_seconds", "archive_bytes", "archive_verified_timestamp_seconds"),
        *("storage_free_bytes", "storage_size_bytes", "node_peers"),
        *("election_timestamp_seconds", "election_step_done", "election_buildable"),
    )
    for name in names:
        assert samples(metrics, f"node_fsm_{name}") == []


def test_the_rest_is_written_where_its_name_says(metrics: Metrics) -> None:
    metrics.versions("1.2.3", "0.13.0", "0.13.1")
    metrics.failure(Phase.FETCHING_KEY, "KeyMissing")
    metrics.clock_offset(-0.25)
    metrics.votes_cast(42)
    metrics.results_posted(AT)
    metrics.archive_verified(2048, AT)
    written = set(samples(metrics, "node_fsm_"))
    assert written >= {
        'node_fsm_build_info{jcli_version="0.13.0",jormungandr_version="0.13.1",role="leader0",version="1.2.3"} 1.0',
        'node_fsm_failures_total{phase="FetchingKey",reason="KeyMissing"} 1.0',
        "node_fsm_clock_offset_seconds -0.25",
        "node_fsm_votes_cast 42.0",
        "node_fsm_results_posted_timestamp_seconds 1.7723664e+09",
        "node_fsm_archive_bytes 2048.0",
        "node_fsm_archive_verified_timestamp_seconds 1.7723664e+09",
    }


def call_that(error: type[BaseException] | None) -> None:
    if error:
        raise error


@pytest.mark.parametrize(
    ("error", "outcome"), [(None, "success"), (OSError, "error"), (asyncio.CancelledError, "cancelled")]
)
def test_calls_are_timed_by_their_outcome(metrics: Metrics, error: type[BaseException] | None, outcome: str) -> None:
    for name, timed in (("database", metrics.database_call), ("s3", metrics.s3_call)):
        try:
            with timed("read"):
                call_that(error)
        except (OSError, asyncio.CancelledError) as raised:
            assert type(raised) is error  # noqa: PT017 - that it passes through is part of what is tested
        labels = {"operation": "read", "outcome": outcome}
        count = metrics.registry.get_sample_value(f"node_fsm_{name}_call_duration_seconds_count", labels)
        assert count == 1


def test_a_node_that_makes_no_block0_does_not_say_whether_it_could(metrics: Metrics) -> None:
    other = Metrics(Role.NODE)
    for told in (metrics, other):
        told.elections(worlds.view(worlds.overview(worlds.election())), worlds.policy(Role.NODE))
    assert samples(metrics, "node_fsm_election_buildable{") == [
        f'node_fsm_election_buildable{{election="{worlds.NAME}"}} 1.0'
    ]
    assert samples(other, "node_fsm_election_buildable") == []
    assert samples(other, "node_fsm_election_step_done{") == samples(metrics, "node_fsm_election_step_done{")


def test_two_services_in_one_process_do_not_mix(metrics: Metrics) -> None:
    other = Metrics(Role.NODE)
    other.node_restarted(1)
    assert metrics.registry.get_sample_value("node_fsm_node_restarts_total") == 0


def test_names_follow_the_conventions(metrics: Metrics) -> None:
    for family in metrics.registry.collect():
        assert re.fullmatch(r"(node_fsm|process|python)_[a-z0-9_]+", family.name)
        if family.name.startswith("node_fsm_"):
            assert not family.name.endswith(("_total", "_count", "_ms", "_minutes")), family.name
            assert family.documentation.endswith(".")
    assert samples(metrics, "process_resident_memory_bytes")
