"""Each alert fires in its case and no other does: series of a recorded election, in which what is wrong is changed."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring.promtool import RULES, alerting, needs_promtool, play, promtool
from tests.monitoring.recording import INTERVAL, first, held, played, recording
from tests.monitoring.series import Values, parse
from tests.support.polling import HANGING

PAGE = Path(__file__).parents[2] / "docs" / "alerts.md"

WAITING = first("node_fsm_election_buildable", 1) + 2
RUNNING = first('node_fsm_node_up{instance="follower"}', 1) + 5
TALLYING = first('node_fsm_phase{instance="leader0",node_fsm_phase="Tallying"}', 1) + 1
ARCHIVING = first('node_fsm_election_step_done{step="results_posted"}', 1)
"""Readings of the recording: before the chain's start, while people vote, while they are counted, with results."""

MINUTE, HOUR, DAY = 60, 3600, 86400

Change = float | tuple[float, float] | None


@dataclass(frozen=True)
class Case:
    """The cluster *at* a reading, for some *minutes*, with *changes*: of these series the value, or values before and
    after the first minute, or None for gone. A series without ``instance`` is meant of all that have it.
    """

    alerts: set[str]
    at: int
    minutes: int
    changes: Mapping[str, Change]

    @property
    def seconds(self) -> int:
        return MINUTE * self.minutes

    def test(self) -> dict[str, Any]:
        series = held(self.at, self.minutes + 1)
        for changed, to in self.changes.items():
            matching = [key for key in series if key.matches(parse(changed))]
            assert matching, f"the service does not export {changed} then"
            for key in matching:
                series[key] = _changed(to, self.minutes + 1)
        return alerting(str(self), series, MINUTE, self.seconds, self.alerts)


def _changed(to: Change, minutes: int) -> Values:
    if isinstance(to, tuple):
        return (to[0], *(to[1],) * (minutes - 1))
    return (to,) * minutes


def condition(type_: str, at: int, minutes: int, alert: str, instance: str = "leader0") -> Case:
    return Case({alert}, at, minutes, {f'node_fsm_condition{{type="{type_}",instance="{instance}"}}': 1})


def moment(name: str) -> str:
    return f'node_fsm_election_timestamp_seconds{{moment="{name}"}}'


def step(name: str) -> str:
    return f'node_fsm_election_step_done{{step="{name}"}}'


def phase(name: str, instance: str = "leader0") -> str:
    return f'node_fsm_phase{{node_fsm_phase="{name}",instance="{instance}"}}'


UP = 'up{instance="leader1"}'
TICK = 'node_fsm_engine_tick_timestamp_seconds{instance="leader1"}'
ENTERED = 'node_fsm_phase_entered_timestamp_seconds{instance="leader0"}'
DEFECT = 'node_fsm_failures_total{reason="UnexpectedError",phase="Running",instance="leader0"}'
FAILING = 'node_fsm_condition{type="work_failing",instance="leader0"}'
GIVEN_UP = 'node_fsm_transitions_total{event="tally_window_closed"}'
RESTARTS = 'node_fsm_node_restarts_total{instance="follower"}'
FREE = 'node_fsm_storage_free_bytes{instance="follower"}'
OFFSET = 'node_fsm_clock_offset_seconds{instance="leader1"}'
BUILDABLE = "node_fsm_election_buildable"

VOTING_MISSED = Case({"NodeFsmVotingStartMissed"}, WAITING, 2, {moment("voting_start"): -30})
CLOSING = Case(
    {"NodeFsmTallyWindowClosing"}, TALLYING, 2, {moment("voting_end"): -7 * DAY, moment("tallying_end"): 2 * DAY}
)
NOBODY = Case({"NodeFsmServiceDown"}, WAITING, 3, {"up": None})

FIRES = [
    VOTING_MISSED,
    CLOSING,
    NOBODY,
    Case({"NodeFsmServiceDown"}, RUNNING, 3, {UP: 0}),
    Case({"NodeFsmEngineStale"}, RUNNING, 4, {TICK: -30}),
    Case({"NodeFsmDefect"}, RUNNING, 3, {DEFECT: (0, 1)}),
    condition("engine_failing", RUNNING, 1, "NodeFsmDefect"),
    *(
        Case({"NodeFsmStuckInPhase"}, WAITING, 7, {phase("Waiting"): 0, phase(name): 1, ENTERED: -600})
        for name in ("FetchingKey", "BuildingVotePlan", "GeneratingBlock0")
    ),
    *(
        Case({"NodeFsmStuckInPhase"}, ARCHIVING, 7, {phase("Archiving"): 0, phase(name): 1, ENTERED: -3300})
        for name in ("Archiving", "Reset")
    ),
    condition("key_unusable", WAITING, 3, "NodeFsmKeyUnavailable", "leader1"),
    Case({"NodeFsmKeyUnavailable"}, WAITING, 3, {phase("Waiting"): 0, phase("FetchingKey"): 1, FAILING: 1}),
    Case({"NodeFsmClockOff"}, RUNNING, 3, {OFFSET: -1.5}),
    condition("clock_wrong", WAITING, 3, "NodeFsmClockOff", "follower"),
    Case({"NodeFsmDiskLow"}, RUNNING, 2, {FREE: 9e8}),
    condition("disk_short", WAITING, 2, "NodeFsmDiskLow"),
    *(condition(type_, RUNNING, 16, "NodeFsmConditionHeld") for type_ in ("work_failing", "votes_not_counted")),
    Case({"NodeFsmNodeDown"}, RUNNING, 6, {'node_fsm_node_up{instance="follower"}': 0}),
    Case({"NodeFsmNodeRestarts"}, RUNNING, 5, {RESTARTS: (1, 5)}),
    condition("chain_stalled", RUNNING, 2, "NodeFsmChainStalled", "leader1"),
    condition("isolated", RUNNING, 6, "NodeFsmIsolated", "follower"),
    condition("split_brain", RUNNING, 2, "NodeFsmSplit", "leader1"),
    condition("other_leader0", WAITING, 2, "NodeFsmSecondLeader0"),
    Case(
        {"NodeFsmElectionInvalid"},
        WAITING,
        6,
        {BUILDABLE: 0, moment("chain_start"): 5 * DAY, moment("voting_start"): 5 * DAY},
    ),
    Case(
        {"NodeFsmElectionInvalid", "NodeFsmElectionInvalidSoon"},
        WAITING,
        6,
        {BUILDABLE: 0, moment("chain_start"): DAY, moment("voting_start"): DAY + HOUR},
    ),
    condition("election_missed", WAITING, 2, "NodeFsmVotingStartMissed"),
    Case({"NodeFsmTallyWindowClosing"}, TALLYING, 2, {moment("voting_end"): -7 * DAY, moment("tallying_end"): 2 * DAY}),
    Case(
        {"NodeFsmSharesMissing"},
        TALLYING,
        2,
        {
            'node_fsm_condition{type="shares_missing",instance="leader0"}': 1,
            moment("voting_end"): -3 * DAY,
            moment("tallying_end"): 7 * DAY,
        },
    ),
    Case(
        {"NodeFsmResultsNotPosted", "NodeFsmTallyWindowClosing"},
        TALLYING,
        2,
        {moment("voting_end"): -7 * DAY, moment("tallying_end"): -1},
    ),
    Case({"NodeFsmResultsNotPosted"}, ARCHIVING, 3, {GIVEN_UP: (0, 1)}),
    Case(
        {"NodeFsmArchiveNotVerified"},
        ARCHIVING,
        121,
        {phase("Archiving"): 0, phase("Tallying"): 1, 'node_fsm_node_up{instance="leader0"}': 1},
    ),
    condition("set_aside_unarchived", WAITING, 121, "NodeFsmArchiveNotVerified", "follower"),
    condition("spec_drift", RUNNING, 2, "NodeFsmSpecDrift"),
]

QUIET = [
    *(
        Case(
            set(),
            at,
            130,
            {
                moment("voting_start"): DAY,
                moment("voting_end"): 2 * DAY,
                moment("tallying_end"): 3 * DAY,
                moment("close"): 3 * DAY,
            },
        )
        for at in (WAITING, RUNNING)
    ),
    Case(
        set(),
        TALLYING,
        20,
        {
            'node_fsm_condition{type="shares_missing",instance="leader0"}': 1,
            moment("voting_end"): -DAY,
            moment("tallying_end"): 7 * DAY,
        },
    ),
    Case(set(), RUNNING, 30, {"node_fsm_last_block_timestamp_seconds": -HOUR, moment("chain_start"): -HOUR}),
    Case(set(), RUNNING, 6, {RESTARTS: (1, 2)}),
]


def fires(case: Case, alert: str, labels: dict[str, str], summary: str) -> dict[str, Any]:
    """That an alert fires at the end of *case*, with what it says then."""
    (rule,) = [rule for rule in rules() if rule["alert"] == alert]
    expected = {
        "exp_labels": {"severity": rule["labels"]["severity"]} | labels,
        "exp_annotations": rule["annotations"] | {"summary": summary},
    }
    return {"eval_time": f"{case.seconds}s", "alertname": alert, "exp_alerts": [expected]}


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


@needs_promtool
def test_promtool_finds_no_fault_in_the_rules() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)


@needs_promtool
def test_an_undisturbed_election_raises_no_alert(tmp_path: Path) -> None:
    seconds = len(next(iter(recording().values()))) * INTERVAL
    play(tmp_path, INTERVAL, alerting("from the start of the services", played(), INTERVAL, seconds, ()))


@needs_promtool
def test_each_alert_fires_in_its_case_alone(tmp_path: Path) -> None:
    play(tmp_path, MINUTE, *(case.test() for case in FIRES))


@needs_promtool
def test_what_needs_nobody_raises_no_alert(tmp_path: Path) -> None:
    play(tmp_path, MINUTE, *(case.test() for case in QUIET))


@needs_promtool
def test_an_alert_says_whom_it_is_about_and_how_much_time_is_left(tmp_path: Path) -> None:
    of_election = {"job": "node-fsm", "election": "first"}
    missed = (
        "Voting in first should have begun and has no block 0: see what holds leader 0 up, or give the election other"
        " times."
    )
    closing = (
        "The chain takes tallies of first for 1d 23h 58m 0s only, and no results stand: see what holds leader 0 up."
    )
    nobody = "No answer from the service: start it again; its node has ended with it."
    expected: tuple[tuple[Case, str, dict[str, str], str], ...] = (
        (VOTING_MISSED, "NodeFsmVotingStartMissed", of_election, missed),
        (CLOSING, "NodeFsmTallyWindowClosing", of_election, closing),
        (NOBODY, "NodeFsmServiceDown", {}, nobody),
    )
    play(
        tmp_path,
        MINUTE,
        *(
            case.test() | {"alert_rule_test": [fires(case, alert, labels, summary)]}
            for case, alert, labels, summary in expected
        ),
    )


def test_every_alert_has_a_case() -> None:
    assert {alert for case in FIRES for alert in case.alerts} == {rule["alert"] for rule in rules()}


def test_every_condition_has_an_alert() -> None:
    (held_for_long,) = [rule["expr"] for rule in rules() if rule["alert"] == "NodeFsmConditionHeld"]
    (left_out,) = re.findall(r'type!~"([a-z0-9_|]+)"', held_for_long)
    own = {type_ for rule in rules() for type_ in re.findall(r'type="([a-z0-9_]+)"', rule["expr"])}
    by_metrics_of_their_own = {"node_not_running", "election_invalid"}
    assert set(left_out.split("|")) - own == by_metrics_of_their_own | {"sandbox"}


def test_every_alert_says_what_to_do_and_has_an_entry_in_the_documentation() -> None:
    entries = re.findall(r"^### (\w+)$", PAGE.read_text(), re.MULTILINE)
    assert entries == [rule["alert"] for rule in rules()]
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"]["runbook_url"] == f"docs/alerts.md#{rule['alert'].lower()}"
        problem, _, what_to_do = rule["annotations"]["summary"].partition(": ")
        assert problem
        assert what_to_do


@pytest.mark.skipif(shutil.which("sed") is None, reason="there is no sed")
def test_the_command_of_the_page_makes_addresses_of_the_entries(tmp_path: Path) -> None:
    (command,) = re.findall(r"^sed .*$", PAGE.read_text(), re.MULTILINE)
    shutil.copy(RULES, tmp_path)
    subprocess.run(shlex.split(command), cwd=tmp_path, check=True, timeout=HANGING)
    addresses = re.findall(r"runbook_url: (.*)", (tmp_path / RULES.name).read_text())
    entries = [rule["alert"].lower() for rule in rules()]
    assert addresses == [f"https://docs.example.org/node-fsm/alerts/#{entry}" for entry in entries]
