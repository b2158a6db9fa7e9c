"""docs/phases.md and `node-fsm table` say what the tables say."""

import json
import re
from io import StringIO
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from node_fsm.cli.table import diagram, page, show, table
from node_fsm.core.phases import NODE_MUST_RUN, Phase, Role
from node_fsm.core.table import LEADER0, NODE, TABLES, Transition

PAGE = Path(__file__).parents[2] / "docs" / "phases.md"
ALL_ROWS = LEADER0 + NODE

app = typer.Typer()
app.command()(table)


def printed(*arguments: str) -> str:
    """What the command prints into a pipe."""
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_page_is_up_to_date() -> None:
    stale = "docs/phases.md is stale: write it anew with `node-fsm table --markdown > docs/phases.md`"
    assert PAGE.read_text() == page(), stale


def test_the_page_says_first_that_it_is_generated() -> None:
    assert page().startswith("# Phases\n\nThis page is generated")


def test_the_page_describes_every_phase_and_lists_every_transition() -> None:
    lines = page().splitlines()
    assert all(f"| {phase} | {phase.description} |" in lines for phase in Phase)
    assert all(role.description in lines for role in Role)
    transitions = [line for line in lines if re.match(r"\| [A-Z]\w+ \| \w+ \| [A-Z]\w+ \|", line)]
    assert transitions == [f"| {row.source} | {row.event} | {row.target} | {row.when} |" for row in ALL_ROWS]


@pytest.mark.parametrize("rows", TABLES.values(), ids=TABLES)
def test_the_diagram_has_the_tables_edges_and_marks_where_the_node_runs(rows: tuple[Transition, ...]) -> None:
    drawn = diagram(rows)
    assert drawn.startswith("stateDiagram-v2\n")
    assert re.findall(r"(\w+) --> (\w+) : (\w+)", drawn) == [(row.source, row.target, row.event) for row in rows]
    assert "[*] --> Waiting" in drawn
    marked = re.findall(r"class (.+) nodeRuns", drawn)
    named = {row.target for row in rows}
    assert [set(phases.split(", ")) for phases in marked] == [NODE_MUST_RUN & named]


def test_the_command_prints_the_page() -> None:
    assert printed("--markdown") == page()


def test_programs_get_the_same() -> None:
    rows = json.loads(printed("--output", "json"))
    expected = [(str(role), *map(str, row)) for role, table in TABLES.items() for row in table]
    assert [tuple(row.values()) for row in rows] == expected
    assert printed("--output", "csv").splitlines()[0] == "role,from,event,to,when"


def test_into_a_pipe_each_transition_is_one_plain_line() -> None:
    output = printed()
    assert output.isascii()
    assert "\x1b" not in output
    lines = output.splitlines()
    for row in ALL_ROWS:
        assert [line for line in lines if re.split(r"  +", line) == list(map(str, row))], row
    assert all(diagram(rows) in output for rows in TABLES.values())


def test_on_a_terminal_the_tables_are_ruled() -> None:
    terminal = Console(file=StringIO(), force_terminal=True, color_system=None, width=200)
    with terminal.capture() as capture:
        show(terminal)
    lines = [
        [cell.strip() for cell in line.strip("│").split("│")] for line in capture.get().splitlines() if "│" in line
    ]
    assert lines == [list(map(str, row)) for row in ALL_ROWS]
