"""The last screen: results beside what was drawn, archives, what each node went through, and the verdict."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from node_fsm_sandbox.demo.outcome import ElectionOutcome, NodeOutcome, Outcome
from node_fsm_sandbox.election.binaries import Binaries
from node_fsm_sandbox.election.draw import DrawnElection

_NARROW = 70
"""With fewer columns than this a table would lose its numbers; there are lines instead."""


def print_summary(console: Console, outcome: Outcome, began: datetime, kept: Path | None) -> None:
    """Print everything that came of the demo; *began* is what the times of phases are counted from."""
    narrow = console.width < _NARROW
    for part in _parts(outcome, began, narrow=narrow):
        console.print(part, soft_wrap=isinstance(part, Text) and not narrow)
    if kept:
        console.print(Text(f"logs, storage, archives, votes and report are kept in {kept}"), soft_wrap=True)
    elif outcome.matched:
        console.print(Text("the archives are gone with the demo; --keep DIR keeps a copy"), soft_wrap=True)


def verdict(outcome: Outcome, binaries: Binaries, seconds: float) -> Text:
    """The last line, or lines when the demo was stopped or something did not match."""
    took = f"{seconds:.0f} s, on {binaries}"
    if outcome.matched:
        return Text(f"everything matched in {took}", "bold green")
    lines = []
    if outcome.stopped:
        lines += [f"the demo stopped after {took}:", f"  {outcome.stopped}"]
    if outcome.problems:
        lines.append(f"{len(outcome.problems)} did not match, after {took}:")
        lines += [f"  {problem}" for problem in outcome.problems]
    return Text("\n".join(lines), "bold red")


def _parts(outcome: Outcome, began: datetime, *, narrow: bool) -> Iterator[RenderableType]:
    if outcome.stopped:  # before there were results
        return
    yield result_lines(outcome.elections) if narrow else results_table(outcome.elections)
    for election in outcome.elections:
        yield archive_lines(election)
        if outcome.matched:
            yield _uncounted(election.drawn)
    yield phase_lines(outcome.nodes, began) if narrow else phases_table(outcome.nodes, began)


class _Result(NamedTuple):
    """The votes for one option; *posted* is None when there is no result."""

    proposal: str
    option: str
    drawn: int
    posted: int | None

    @property
    def mark(self) -> Text:
        if self.posted is None:
            return Text("no result", "bold red")
        return Text("=", "green") if self.posted == self.drawn else Text("differs", "bold red")


def _results(election: ElectionOutcome) -> Iterator[_Result]:
    expected = election.drawn.expected()
    for question in election.drawn.questions:
        posted = election.results.get(question.external_id, [])
        for index, option in enumerate(question.options):
            votes = posted[index] if index < len(posted) else None
            yield _Result(question.title, option, expected[question.external_id][index], votes)


def results_table(elections: list[ElectionOutcome]) -> Table:
    """One row for each option of each proposal."""
    table = Table(title="Results", title_justify="left")
    for column in ("election", "proposal", "option"):
        table.add_column(column, no_wrap=True)
    for column in ("drawn", "posted"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("")
    for election in elections:
        name, proposal = election.drawn.name, ""
        for result in _results(election):
            title = "" if result.proposal == proposal else result.proposal
            posted = "" if result.posted is None else str(result.posted)
            table.add_row(name, title, result.option, str(result.drawn), posted, result.mark)
            name, proposal = "", result.proposal
        table.add_section()
    return table


def result_lines(elections: list[ElectionOutcome]) -> Text:
    """One line for each option of each proposal."""
    lines = [
        Text.assemble(
            f"{election.drawn.name}, {result.proposal}, {result.option}: {result.drawn} drawn, ",
            f"{result.posted} posted " if result.posted is not None else "",
            result.mark,
        )
        for election in elections
        for result in _results(election)
    ]
    return Text("\n").join(lines)


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
        first = (node.hostname, str(node.restarts))
        for election, steps in _walks(node, began):
            table.add_row(*first, election, steps)
            first = ("", "")
        table.add_section()
    return table


def phase_lines(nodes: list[NodeOutcome], began: datetime) -> Text:
    """The same, a line for each node and election."""
    lines = [
        f"{node.hostname}, restarts {node.restarts}, {election}: {steps}"
        for node in nodes
        for election, steps in _walks(node, began)
    ]
    return Text("\n".join(lines))


def _walks(node: NodeOutcome, began: datetime) -> Iterator[tuple[str, str]]:
    """Each election with the phases that the node went through in it."""
    for election in dict.fromkeys(step.election for step in node.steps):
        steps = [step for step in node.steps if step.election == election]
        yield election or "", " · ".join(f"{step.phase} {(step.at - began).total_seconds():.0f}" for step in steps)


def _uncounted(drawn: DrawnElection) -> Text:
    """Who did not count, as it had to be."""
    return Text(
        f"  of the voters the one with {drawn.again.voter.power} voted twice and the one with {drawn.late.voter.power}"
        f" too late, both rejected; the one with {drawn.abstaining.power} abstained"
    )
