"""``node-fsm election show``: elections as tables for people to read, or as JSON."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node_fsm.cli.database import on_database

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text


def show(
    name: Annotated[str | None, typer.Argument(help="An election; without one all are listed.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show an election: times, committee, voters, proposals, plans, results, archives."""
    from node_fsm.database.election_show import describe_election, list_elections

    found = on_database(list_elections) if name is None else on_database(partial(describe_election, name=name))
    if as_json:
        typer.echo(json.dumps(found, indent=2, default=json_text))
    elif not found:
        typer.echo("there are no elections yet; `node-fsm election import` writes one")
    elif isinstance(found, list):
        print_elections(found)
    else:
        print_election(found)


def print_elections(elections: Iterable[Mapping[str, Any]]) -> None:
    """One line for each election."""
    columns = ("id", "name", "voting_start", "voting_end", "tallying_end", "cancelled_at", "block0_hash")
    rows = list(elections)
    print_rows("Elections", columns, rows)
    print_rows("Cannot be read, and left out", ("id", "name", "fault"), [row for row in rows if row["fault"]])


def print_election(election: Mapping[str, Any]) -> None:
    """An election with all that belongs to it."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(election["name"]), title_justify="left", show_header=False)
    for name, value in election.items():
        if not isinstance(value, list):
            table.add_row(name, cell(value))
    print_table(table)
    print_rows("Committee", ("member_index", "id", "member_public_key"), election["committee"])
    print_rows("Voters", ("voting_group", "voters", "voting_power"), election["voters"])
    proposals = ("objective", "payload_type", "voting_group", "title", "external_id", "options", "deleted")
    print_rows("Proposals", proposals, election["proposals"])
    plans = ("index", "chain_id", "payload_type", "voting_group", "block0_hash", "vote_start", "vote_end")
    tally = ("fragment_id", "on_chain", "disputed", "confirmed_at")
    print_rows("Vote plans", (*plans, "committee_end", "withdrawn_at", *tally), election["plans"])
    results = [
        {"plan": plan["chain_id"], "proposal": external_id, "votes": votes}
        for plan in election["plans"]
        for external_id, votes in plan["results"].items()
    ]
    print_rows("Results", ("plan", "proposal", "votes"), results)
    print_rows("Archives", ("kind", "block0_hash", "uri", "bytes", "sha256", "verified_at"), election["archives"])


def print_rows(title: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """A table of these columns; nothing when there are no rows."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(cell(row[column]) for column in columns))
    if table.row_count:
        print_table(table)


def print_table(table: "Table") -> None:
    """Print *table* on standard output, as wide as that is."""
    from rich.console import Console

    Console(soft_wrap=True).print(table)


def cell(value: object) -> "Text":
    """*value* in a table: none of it is markup."""
    from rich.text import Text

    if value is None:
        return Text("")
    if isinstance(value, datetime):
        return Text(value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ"))
    if isinstance(value, list):
        return Text(", ".join(map(str, value)))
    return Text(str(value))


def json_text(value: object) -> str:
    """What JSON has no form for: a time."""
    return value.isoformat() if isinstance(value, datetime) else str(value)
