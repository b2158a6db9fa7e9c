"""What counts as matching, what the report and the last screen say of it."""

from dataclasses import replace
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from node_fsm_sandbox.demo.outcome import Archive, ElectionOutcome, NodeOutcome, Outcome, Step, report
from node_fsm_sandbox.demo.summary import print_summary, verdict
from node_fsm_sandbox.election.binaries import Binaries
from rich.console import Console

from node_fsm.core.phases import Phase
from tests.support.drawn import NOW, drawn

BINARIES = Binaries(Path("jcli"), Path("jormungandr"), "jcli 0.13.0 (sandbox)", "jormungandr 0.13.0 (sandbox)")
ARCHIVE = Archive("s3://demo/archive/1-first", Path("copy"), checks=6, faults=())


def matching() -> ElectionOutcome:
    election = drawn()
    return ElectionOutcome(election, "ab" * 32, election.expected(), on_chain=True, archive=ARCHIVE)


def walked(*phases: Phase, election: str = "first") -> NodeOutcome:
    steps = tuple(Step(election, phase, NOW + timedelta(seconds=number)) for number, phase in enumerate(phases))
    return NodeOutcome("leader1", "leader", 1, steps)


WHOLE = walked(Phase.FETCHING_KEY, Phase.RUNNING, Phase.RESET, Phase.WAITING)


def test_what_was_drawn_and_archived_matches() -> None:
    assert matching().problems() == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"results": {}}, "results are not what was drawn"),
        ({"on_chain": False}, "tally is not on the chain"),
        ({"archive": None}, "no final archive"),
        ({"archive": replace(ARCHIVE, faults=("block0.bin: damaged",))}, "not whole: block0.bin: damaged"),
        ({"archive": replace(ARCHIVE, checks=0)}, "not whole"),
    ],
)
def test_whatever_differs_is_a_problem(change: dict[str, object], problem: str) -> None:
    (found,) = replace(matching(), **change).problems()  # type: ignore[arg-type]
    assert found.startswith("first: ")
    assert problem in found


def test_one_vote_more_is_a_problem() -> None:
    election = matching()
    external_id = election.drawn.questions[0].external_id
    election.results[external_id] = [votes + 1 for votes in election.results[external_id]]
    assert election.problems()


def test_a_node_must_have_run_each_election_and_come_back() -> None:
    assert WHOLE.problems(["first"]) == []
    assert walked(Phase.FETCHING_KEY, Phase.RUNNING).problems(["first"])
    assert walked(Phase.FETCHING_KEY, Phase.WAITING).problems(["first"])
    assert "second" in WHOLE.problems(["first", "second"])[0]


def test_the_report_has_the_names_that_programs_read() -> None:
    election = matching()
    made = report(Outcome([election], [WHOLE]), BINARIES)
    assert made == {
        "ok": True,
        "elections": [
            {
                "name": "first",
                "block0_hash": "ab" * 32,
                "expected": election.drawn.expected(),
                "results": election.results,
                "archive": {"uri": ARCHIVE.uri, "verified": True},
            }
        ],
        "nodes": {
            "leader1": {
                "role": "leader",
                "restarts": 1,
                "phases": [
                    {"election": "first", "phase": step.phase, "at": step.at.isoformat()} for step in WHOLE.steps
                ],
            }
        },
        "jcli_version": "jcli 0.13.0 (sandbox)",
        "jormungandr_version": "jormungandr 0.13.0 (sandbox)",
    }


def test_the_report_of_a_demo_that_did_not_get_far_has_the_same_shape() -> None:
    made = report(Outcome([ElectionOutcome(drawn())], stopped="it did not get far"), BINARIES)
    assert made["ok"] is False
    assert made["elections"][0]["results"] == {}
    assert made["elections"][0]["archive"] == {"uri": None, "verified": False}


def test_the_last_line_says_that_everything_matched_and_how_long_it_took() -> None:
    election = matching()
    last = summary(Outcome([election], [WHOLE]))
    assert last.splitlines()[-2:] == [
        "the archives are gone with the demo; --keep DIR keeps a copy",
        f"everything matched in 107 s, on {BINARIES}",
    ]
    again, late, abstaining = (election.drawn.again.voter, election.drawn.late.voter, election.drawn.abstaining)
    assert f"the one with {again.power} voted twice and the one with {late.power} too late, both rejected" in last
    assert f"the one with {abstaining.power} abstained" in last
    assert "FetchingKey 0 · Running 1 · Reset 2 · Waiting 3" in last
    assert f"{ARCHIVE.uri}\n  verified offline, 6 checks passed" in last
    votes = str(election.drawn.expected()[election.drawn.questions[0].external_id][0])
    (row,) = [line for line in last.splitlines() if " yes " in line]
    assert row.count(votes) == 2
    assert "differs" not in last


def test_the_last_lines_say_what_did_not_match() -> None:
    election = replace(matching(), results={})
    last = summary(Outcome([election], [], election.problems()))
    assert last.splitlines()[-2:] == [
        f"1 did not match, after 107 s, on {BINARIES}:",
        "  first: the results are not what was drawn",
    ]
    assert "no result" in last
    assert "differs" not in last
    assert "abstained" not in last


def test_votes_that_differ_are_told_beside_each_other() -> None:
    election = matching()
    results = {external_id: [votes + 1 for votes in row] for external_id, row in election.results.items()}
    last = summary(Outcome([replace(election, results=results)], [], ["one"]))
    assert last.count("differs") == 5


def test_of_a_demo_that_was_stopped_no_election_is_said_to_differ() -> None:
    last = summary(Outcome([ElectionOutcome(drawn())], [], ["a vote is lost"], stopped="S3 ended by itself"))
    assert last.splitlines() == [
        f"the demo stopped after 107 s, on {BINARIES}:",
        "  S3 ended by itself",
        f"1 did not match, after 107 s, on {BINARIES}:",
        "  a vote is lost",
    ]


@pytest.mark.parametrize("width", [40, 60, 80])
def test_numbers_are_whole_in_a_narrow_terminal(width: int) -> None:
    election = matching()
    last = summary(Outcome([election], [WHOLE]), width)
    for votes in (votes for row in election.results.values() for votes in row):
        assert last.count(str(votes)) >= 2
    assert "…" not in last
    assert width == 80 or max(map(len, last.split("\nthe archives")[0].splitlines())) <= width
    assert "Where the park goes" in last
    assert "Running 1" in " ".join(last.replace("│", " ").split())


def test_what_is_kept_is_told() -> None:
    last = summary(Outcome([matching()], [WHOLE]), kept=Path("/kept[1]"))
    assert "logs, storage, archives, votes and report are kept in /kept[1]" in last.splitlines()
    assert "gone with the demo" not in last


def summary(outcome: Outcome, width: int = 100, kept: Path | None = None) -> str:
    console = Console(file=StringIO(), width=width)
    print_summary(console, outcome, NOW, kept)
    console.print(verdict(outcome, BINARIES, 107.4), soft_wrap=True)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()
