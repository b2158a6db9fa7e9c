"""``node-fsm plan``: what an election will be, and all that would stop it. It changes nothing."""

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node_fsm.cli.database import database_settings, on_database
from node_fsm.cli.documents import chain_dates, moments
from node_fsm.cli.output import (
    ExitCode,
    Output,
    OutputOption,
    block_lines,
    print_json,
    print_pairs,
    print_title,
    table_lines,
    terminal_width,
)
from node_fsm.cli.progress import progress_bar
from node_fsm.cli.times import local, utc, when
from node_fsm.core.printable import printable

if TYPE_CHECKING:
    from node_fsm.database.session import Session
    from node_fsm.preparation.outlook import Outlook

DEADLINES = {
    "chain_start": "leader 0 makes block 0, the chain begins",
    "voting_start": "voting begins",
    "voting_end": "voting ends, the tally begins",
    "tallying_end": "the chain takes no more tallies",
    "close": "nodes let go of it without an archive",
}


def plan(
    name: Annotated[str | None, typer.Argument(metavar="ELECTION", help="By default all that are not over.")] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Say what an election will be, by the settings of this machine, and all that would stop it. Changes nothing.

    Ends with 1 when something would stop it, or have it begin late.
    """
    from node_fsm.cli.decryption import decryption_limit
    from node_fsm.preparation.outlook import outlooks

    settings = database_settings()
    with progress_bar("looking at elections") as progress:

        async def look(session: "Session") -> "tuple[Outlook, ...]":
            return await outlooks(session, settings, name, partial(decryption_limit, session, settings), progress)

        found = on_database(look)
    if output is Output.JSON:
        print_json([document(outlook) for outlook in found])
    elif not found:
        typer.echo("no election is to come; `node-fsm election import` writes one")
    else:
        for number, outlook in enumerate(found):
            if number:
                typer.echo()
            show(outlook, terminal_width())
    if any(outlook.problems for outlook in found):
        raise typer.Exit(ExitCode.FAILED)


def document(outlook: "Outlook") -> dict[str, Any]:
    """*outlook* for programs, dates on the chain as ``epoch.slot``."""
    told = asdict(outlook)
    told["deadlines"] = moments(outlook.deadlines)
    if outlook.dates:
        told["dates"] = chain_dates(outlook.dates)
    return told


def show(outlook: "Outlook", width: int | None) -> None:
    """Print *outlook* for people."""
    print_title(f"{outlook.name}: {outlook.stage.description}")
    if facts := list(_facts(outlook)):  # none of one that is over, or cannot be read
        print_pairs(facts)
    for title, content in (
        ("When", _deadlines(outlook, width)),
        ("Vote plans", _plans(outlook, width)),
        ("What would stop it", _sentences("!", outlook.problems, width)),
        ("What to know", _sentences("*", outlook.warnings, width)),
    ):
        if lines := list(content):
            typer.echo()
            print_title(title)
            typer.echo("\n".join(lines))
    if not outlook.problems:
        typer.echo("\nnothing that is seen from here would stop it")


def _facts(outlook: "Outlook") -> Iterator[tuple[str, object]]:
    if outlook.leader0:
        yield "leader 0", outlook.leader0
        yield "leaders", outlook.leaders
    if outlook.dates:
        clock = outlook.dates.clock
        yield "slots", f"{clock.slot_duration} s each, {clock.slots_per_epoch} in an epoch"
    if outlook.voters is not None:
        yield "voters", outlook.voters
    if outlook.block0_bytes is not None:
        yield "block 0", f"{'about ' if outlook.build_seconds else ''}{outlook.block0_bytes:,} bytes"
    if outlook.build_seconds is not None:
        yield "time to make it", f"about {outlook.build_seconds:.1f} s"
    if outlook.decryption_seconds is not None:
        yield "time to decrypt", f"at most about {ceil(outlook.decryption_seconds)} s, if everybody votes"


def _deadlines(outlook: "Outlook", width: int | None) -> Iterator[str]:
    dates = outlook.dates
    on_chain = {"chain_start": "0.0"}
    if dates:
        on_chain |= {"voting_start": str(dates.vote_start), "voting_end": str(dates.vote_end)}
        on_chain["tallying_end"] = str(dates.committee_end)
    rows = [
        [
            deadline.name,
            utc(deadline.at),
            local(deadline.at),
            on_chain.get(deadline.name) if dates else None,
            when(deadline.at, outlook.at),
            DEADLINES[deadline.name],
        ]
        for deadline in outlook.deadlines
    ]
    if rows:
        yield from table_lines(["deadline", "UTC", "here", "on the chain", "from now", "what happens"], rows, width)


def _plans(outlook: "Outlook", width: int | None) -> Iterator[str]:
    rows = [
        [plan.index, plan.payload_type, plan.voting_group, plan.proposals, plan.options, plan.voters, plan.units]
        for plan in outlook.plans
    ]
    headings = ["plan", "votes", "group", "proposals", "options", "voters", "units of power"]
    if rows:
        yield from table_lines(headings, rows, width)


def _sentences(mark: str, sentences: tuple[str, ...], width: int | None) -> Iterator[str]:
    for sentence in sentences:
        yield from block_lines([(mark, printable(sentence))], width)
