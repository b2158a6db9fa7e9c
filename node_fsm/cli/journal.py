"""``node-fsm journal``: what happened, from the database."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node_fsm.cli.database import on_database
from node_fsm.cli.output import (
    Column,
    TableOption,
    TableOutput,
    block_lines,
    csv_text,
    json_text,
    print_csv,
    print_table,
    say,
    terminal_width,
    text,
)
from node_fsm.core.errors import TemporaryError
from node_fsm.core.printable import one_line

if TYPE_CHECKING:
    from node_fsm.database.session import Session

FOLLOW_SECONDS = 1.0
AWAY_SECONDS = 5.0
OVERLAP = 1000
"""Rows before the last that are looked at again: one may be committed after one with a higher id."""

JOURNAL = (
    Column("at", "when", "When it happened, by the clock of the host."),
    Column("hostname", "node", "The host that it happened on."),
    Column("election", "election", "The election that was worked on; null when there was none."),
    Column("from", "from", "The phase before."),
    Column(
        "event", "event", "What happened: an event of the tables of phases, or a fact, which leads to no other phase."
    ),
    Column("to", "to", "The phase after."),
    Column("reason", "why", "One sentence saying why."),
    Column("id", None, "The row's number."),
)


def journal(
    election: Annotated[str | None, typer.Option(help="Only of this election.")] = None,
    node: Annotated[str | None, typer.Option(help="Only of this host.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="So many of the latest entries.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until interrupted.")] = False,
    output: TableOption = TableOutput.TEXT,
) -> None:
    """Show what happened, the latest last: every change of a phase, and what was published, counted and archived.

    With --follow JSON is an object a line.
    """
    from node_fsm.database.journal import read_entries

    if follow:
        try:
            on_database(partial(_follow, election=election, hostname=node, limit=limit, show=_shower(output)))
        except KeyboardInterrupt:  # how a person ends it
            return
    rows = on_database(partial(read_entries, election=election, hostname=node, limit=limit))
    if output is not TableOutput.TEXT or not rows:
        print_table(rows, JOURNAL, output, empty="the journal has no such entries yet")
        return
    _print_entries(rows)


def entry_lines(row: dict[str, Any], width: int | None) -> Iterator[str]:
    """An entry for people: what happened, and below it why."""
    what = row["event"] if row["from"] == row["to"] else f"{row['event']}: {row['from']} -> {row['to']}"
    of = f"  {text(row['election'])}" if row["election"] else ""
    yield one_line(f"{text(row['at'])}  {text(row['hostname'])}{of}  {text(what)}")
    yield from block_lines([("", text(row["reason"]))], width)


async def _follow(
    session: "Session",
    *,
    election: str | None,
    hostname: str | None,
    limit: int,
    show: Callable[[Iterable[dict[str, Any]]], None],
) -> None:
    """Show the last *limit* entries, then every new one, for ever."""
    first = True
    async for rows in _news(session, election=election, hostname=hostname, limit=max(limit, OVERLAP)):
        show(rows[-limit:] if first else rows)
        first = False


async def _news(
    session: "Session", *, election: str | None, hostname: str | None, limit: int
) -> AsyncIterator[list[dict[str, Any]]]:
    """The last rows, then those that come, each once. While the database is away that is said once, and waited for."""
    from node_fsm.database.journal import read_entries

    seen: set[int] = set()
    last, reached, away = 0, False, False
    while True:
        try:
            rows = await read_entries(
                session, limit=limit, after=max(last - OVERLAP, 0), election=election, hostname=hostname
            )
        except TemporaryError as error:
            if not reached:
                raise
            if not away:
                say(f"{error}; trying again", err=True)
            away = True
            await asyncio.sleep(AWAY_SECONDS)
            continue
        reached, away = True, False
        new = [row for row in rows if row["id"] not in seen]
        last = max([last, *(row["id"] for row in new)])
        seen = {id_ for id_ in seen | {row["id"] for row in new} if id_ > last - OVERLAP}
        yield new
        await asyncio.sleep(FOLLOW_SECONDS)


def _shower(output: TableOutput) -> Callable[[Iterable[dict[str, Any]]], None]:
    """What prints entries as they come."""
    if output is TableOutput.JSON:
        return _print_objects
    if output is TableOutput.CSV:
        print_csv(csv_text([], JOURNAL))
        return lambda rows: print_csv(csv_text(rows, JOURNAL).partition("\n")[2])
    return _print_entries


def _print_objects(rows: Iterable[dict[str, Any]]) -> None:
    for row in rows:
        typer.echo(json_text({column.name: row[column.name] for column in JOURNAL}))


def _print_entries(rows: Iterable[dict[str, Any]]) -> None:
    for row in rows:
        for line in entry_lines(row, terminal_width()):
            typer.echo(line)
