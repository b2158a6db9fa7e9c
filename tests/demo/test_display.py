"""The live screen for a given moment, and the lines of a log."""

from dataclasses import replace
from datetime import timedelta
from io import StringIO

import pytest
from node_fsm_sandbox.demo.display import LineDisplay, LiveDisplay, Stopwatch, display_for
from node_fsm_sandbox.demo.moment import Moment, NodeView, VotesView
from node_fsm_sandbox.demo.screen import Screen
from rich.console import Console, RenderableType

from node_fsm.core.phases import Phase
from node_fsm.sidecar.answers import NextDeadline
from tests.demo.examples import node, state
from tests.support.drawn import NOW

VOTES = VotesView("first", drawn=46, cast=30, in_blocks=23, rejected=1)
MOMENT = Moment(
    NOW,
    (
        node(state(Phase.RUNNING, "first", (("sandbox", "SandboxBinaries"),)), restarts=1, height=17, peers=2),
        NodeView("leader1", 0),
        NodeView("follower", 0, starting=True),
    ),
    VOTES,
)


def printed(what: RenderableType, width: int = 140, height: int = 40) -> str:
    console = Console(file=StringIO(), width=width, height=height)
    console.print(what)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_screen_shows_nodes_phases_heights_votes_deadlines_and_conditions() -> None:
    screen = printed(Screen(MOMENT, ("  12.0 s  something happened",), 12.3))
    (row,) = [line for line in screen.splitlines() if "leader0" in line]
    assert " ".join(row.split()) == "leader0 Running first 17 2 1 voting_end 12 s sandbox: SandboxBinaries"
    assert "leader1 no answer 0 follower starting 0" in " ".join(screen.split())
    assert "30 cast, 23 of 46 in blocks, 1 rejected" in screen
    assert "12 s of at most" in screen
    assert "something happened" in screen


@pytest.mark.parametrize(("width", "deadline"), [(80, "tallying_end 101 s"), (60, "")])
@pytest.mark.parametrize("phase", [Phase.BUILDING_VOTE_PLAN, Phase.GENERATING_BLOCK0])
def test_a_smaller_screen_says_all_in_whole_words(width: int, deadline: str, phase: Phase) -> None:
    answer = state(phase, "second", (("sandbox", "SandboxBinaries"), ("work_failing", "S3Unavailable")))
    answer.next_deadline = NextDeadline(name="tallying_end", at=NOW + timedelta(seconds=101), election="second")
    view = Moment(NOW, (node(answer, restarts=1, height=170, peers=2),), replace(VOTES, election="second"))
    screen = printed(Screen(view, ("a line that is too long " * 9,), 12.3), width)
    head, row, *_ = screen.splitlines()[1:]
    assert head.split()[:6] == ["node", "phase", "election", "tip", "peers", "restarts"]
    assert " ".join(row.split()) == f"leader0 {phase} second 170 2 1 {deadline}".strip()
    assert "leader0 sandbox: SandboxBinaries, work_failing: S3Unavailable" in " ".join(screen.split())
    assert " 30 cast, 23 of 46 in blocks, 1 rejected\n" in screen
    assert max(map(len, screen.splitlines())) <= width


@pytest.mark.parametrize("height", [24, 12, 8, 4])
def test_a_low_screen_has_the_newest_news(height: int) -> None:
    lines = printed(Screen(MOMENT, tuple(f"event {number}" for number in range(10)), 12.3), 80, height).splitlines()
    assert len(lines) <= height
    assert lines[-3:] == ["event 7", "event 8", "event 9"]


def test_the_screen_is_there_before_anything_is_known() -> None:
    assert "node-fsm demo" in printed(Screen(None, (), 0.0))


def test_a_log_gets_a_line_for_each_event_and_no_screens() -> None:
    console = Console(file=StringIO(), width=40)
    with display_for(console, Stopwatch()) as display:
        display.show(MOMENT)
        display.tell("leader0: Running [first] " + "and more " * 10)
    assert isinstance(display, LineDisplay)
    assert isinstance(console.file, StringIO)
    (line,) = console.file.getvalue().splitlines()
    assert line.startswith("   0.0 s  leader0: Running [first] and more")
    assert display.latest.startswith("leader0: Running")


def test_a_terminal_gets_the_screen_with_the_news() -> None:
    console = Console(file=StringIO(), width=140, height=40, force_terminal=True)
    with display_for(console, Stopwatch()) as display:
        display.tell("the first news")
        display.show(MOMENT)
    assert isinstance(display, LiveDisplay)
    assert isinstance(console.file, StringIO)
    assert "the first news" in console.file.getvalue()
    assert "23 of 46 in blocks" in console.file.getvalue()


def test_a_tall_terminal_is_filled_with_news() -> None:
    console = Console(file=StringIO(), width=80, height=40, force_terminal=True)
    with display_for(console, Stopwatch()) as display:
        display.show(MOMENT)
        for number in range(60):
            display.tell(f"event {number}")
    assert isinstance(console.file, StringIO)
    *_, last = console.file.getvalue().split("node-fsm demo")
    assert last.count("  event ") > 30
    assert "event 59" in last
