"""``node-fsm table``: the tables of transitions for people to read, and the documentation's page made from them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from node_fsm.cli.output import Column, TableOption, TableOutput, print_table
from node_fsm.core.phases import NODE_MUST_RUN, Phase, Role
from node_fsm.core.table import TABLES, Transition, phases_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

HEADINGS = {Role.LEADER0: "Leader 0", Role.NODE: "Other nodes"}
COLUMNS = ("from", "event", "to", "when")
TRANSITIONS = (
    Column("role", None, "Whose table it is of: `leader0`, or `node` for all others."),
    Column("from", None, "In this phase"),
    Column("event", None, "this event leads"),
    Column("to", None, "to this phase,"),
    Column("when", None, "when this is so."),
)
INTRODUCTION = """\
# Phases

This page is generated: `node-fsm table --markdown` writes it from `node_fsm/core/phases.py` and
`node_fsm/core/table.py`. Change it there.

A node is in one phase at a time. A row of a table reads "in this phase, this event leads to that phase, when ...";
what is not in a table cannot happen. In the diagrams a heavy frame marks the phases in which the node process runs.
"""


def table(
    *,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page docs/phases.md instead.")] = False,
    output: TableOption = TableOutput.TEXT,
) -> None:
    """Print which event leads from which phase to which, for leader 0 and for other nodes."""
    if markdown:
        typer.echo(page(), nl=False)
    elif output is not TableOutput.TEXT:
        names = [column.name for column in TRANSITIONS]
        rows = [dict(zip(names, (role, *row), strict=True)) for role, table in TABLES.items() for row in table]
        print_table(rows, TRANSITIONS, output, empty="")
    else:
        from rich.console import Console

        show(Console())


def show(console: "Console") -> None:
    """Print both roles' tables and diagrams: ruled tables on a terminal, aligned columns elsewhere."""
    for role, rows in TABLES.items():
        if console.is_terminal:
            console.print(_ruled(HEADINGS[role], rows))
        else:
            console.print(f"{HEADINGS[role]}\n{_aligned([COLUMNS, *rows])}", soft_wrap=True, highlight=False)
        console.print(f"\n{diagram(rows)}\n", soft_wrap=True, highlight=False, markup=False)


def page() -> str:
    """The whole of docs/phases.md."""
    phases = _markdown(("phase", "what happens in it"), [(phase, phase.description) for phase in Phase])
    parts = [INTRODUCTION, phases]
    for role, rows in TABLES.items():
        parts += [
            f"## {HEADINGS[role]}\n\n{role.description}\n",
            _markdown(COLUMNS, rows),
            f"```mermaid\n{diagram(rows)}\n```\n",
        ]
    return "\n".join(parts)


def diagram(rows: Sequence[Transition]) -> str:
    """A mermaid ``stateDiagram-v2`` of one table."""
    node_runs = [phase for phase in phases_of(rows) if phase in NODE_MUST_RUN]
    lines = [f"[*] --> {Phase.WAITING}"]
    lines += [f"{row.source} --> {row.target} : {row.event}" for row in rows]
    lines += ["classDef nodeRuns stroke-width:4px", f"class {', '.join(node_runs)} nodeRuns"]
    return "\n    ".join(["stateDiagram-v2", *lines])


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _ruled(title: str, rows: Sequence[Transition]) -> "Table":
    from rich.table import Table

    ruled = Table(*COLUMNS, title=title, title_justify="left")
    for row in rows:
        ruled.add_row(*row)
    return ruled


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
