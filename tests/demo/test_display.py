"""The live screen for a given moment, and the lines of a log."""

from io import StringIO

from rich.console import Console, RenderableType

from node_fsm.core.phases import Phase
from node_fsm.sandbox.demo.display import LineDisplay, LiveDisplay, Stopwatch, display_for
from node_fsm.sandbox.demo.screen import render
from node_fsm.sandbox.demo.snapshot import NodeView, Snapshot, VotesView
from tests.demo.examples import NOW, node, state

VOTES = VotesView("first", drawn=46, cast=30, in_blocks=23, rejected=1)
SNAPSHOT = Snapshot(
    NOW,
    (
        node(state(Phase.RUNNING, "first", (("sandbox", "SandboxBinaries"),)), restarts=1, height=17, peers=2),
        NodeView("leader1", "leader", 0),
    ),
    VOTES,
)


def printed(what: RenderableType) -> str:
    console = Console(file=StringIO(), width=140)
    console.print(what)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_screen_shows_nodes_phases_heights_votes_deadlines_and_conditions() -> None:
    screen = printed(render(SNAPSHOT, ["  12.0 s  something happened"], 12.3))
    (row,) = [line for line in screen.splitlines() if "leader0" in line]
    cells = [cell.strip() for cell in row.split("│")[1:-1]]
    assert cells == ["leader0", "Running", "first", "17", "2", "1", "voting_end in 12 s", "sandbox: SandboxBinaries"]
    assert "leader1 (leader)" in screen
    assert "no answer" in screen
    assert "30 cast, 23 of 46 in blocks, 1 rejected" in screen
    assert "12 s of at most" in screen
    assert "something happened" in screen


def test_the_screen_is_there_before_anything_is_known() -> None:
    assert "node-fsm demo" in printed(render(None, [], 0.0))


def test_a_log_gets_a_line_for_each_event_and_no_screens() -> None:
    console = Console(file=StringIO(), width=40)
    with display_for(console, Stopwatch()) as display:
        display.show(SNAPSHOT)
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
        display.show(SNAPSHOT)
    assert isinstance(display, LiveDisplay)
    assert isinstance(console.file, StringIO)
    assert "the first news" in console.file.getvalue()
    assert "23 of 46 in blocks" in console.file.getvalue()
