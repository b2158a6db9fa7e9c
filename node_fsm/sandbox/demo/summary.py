"""The last screen: results beside what was drawn, archives, what each node went through, and the verdict."""

from collections.abc import Iterator
from datetime import datetime

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from node_fsm.sandbox.demo.outcome import ElectionOutcome, NodeOutcome, Outcome


def print_summary(console: Console, outcome: Outcome, began: datetime, seconds: float) -> None:
    """Print everything that came of the demo; *began* is what the times of phases are counted from."""
    for part in _parts(outcome, began):
        console.print(part, soft_wrap=isinstance(part, Text))
    console.print(verdict(outcome, seconds), soft_wrap=True)


def verdict(outcome: Outcome, seconds: float) -> Text:
    """The last line, or lines when something did not match."""
    if not outcome.problems:
        return Text(f"everything matched in {seconds:.0f} s", "bold green")
    lines = [f"{len(outcome.problems)} did not match, after {seconds:.0f} s:", *outcome.problems]
    return Text("\n  ".join(lines), "bold red")


def _parts(outcome: Outcome, began: datetime) -> Iterator[RenderableType]:
    if outcome.elections:
        yield results_table(outcome.elections)
    for election in outcome.elections:
        yield archive_lines(election)
    if outcome.nodes:
        yield phases_table(outcome.nodes, began)


def results_table(elections: list[ElectionOutcome]) -> Table:
    """One row for each option of each proposal."""
    table = Table(title="Results", title_justify="left")
    for column in ("election", "proposal", "option"):
        table.add_column(column, no_wrap=True)
    for column in ("drawn", "posted"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("")
    for election in elections:
        expected = election.drawn.expected()
        for proposal in election.drawn.proposals:
            posted = election.results.get(proposal.external_id, [])
            for index, option in enumerate(proposal.options):
                drawn = expected[proposal.external_id][index]
                votes = posted[index] if index < len(posted) else None
                table.add_row(
                    election.drawn.name if proposal is election.drawn.proposals[0] and not index else "",
                    "" if index else proposal.title,
                    option,
                    str(drawn),
                    "" if votes is None else str(votes),
                    Text("=", "green") if votes == drawn else Text("differs", "bold red"),
                )
        table.add_section()
    return table


def archive_lines(election: ElectionOutcome) -> Text:
    """Where the archive is, and what its verification said."""
    archive = election.archive
    if archive is None:
        return Text(f"{election.drawn.name}: no archive", "bold red")
    said = f"verified offline, {archive.checks} checks passed" if archive.verified else "; ".join(archive.faults)
    return Text.assemble(
        f"{election.drawn.name}: {archive.uri}\n  ", (said, "green" if archive.verified else "bold red")
    )


def phases_table(nodes: list[NodeOutcome], began: datetime) -> Table:
    """What stands in the journal: each node's phases by election, with the second in which they began."""
    table = Table(title="Phases, with the second of the demo in which they began", title_justify="left")
    table.add_column("node", no_wrap=True)
    table.add_column("restarts", justify="right")
    table.add_column("election", no_wrap=True)
    table.add_column("phases", overflow="fold")
    for node in nodes:
        for place, election in enumerate(dict.fromkeys(step.election for step in node.steps)):
            steps = [
                f"{step.phase} {(step.at - began).total_seconds():.0f}"
                for step in node.steps
                if step.election == election
            ]
            first = not place
            table.add_row(
                node.hostname if first else "",
                str(node.restarts) if first else "",
                election or "",
                " · ".join(steps),
            )
        table.add_section()
    return table
