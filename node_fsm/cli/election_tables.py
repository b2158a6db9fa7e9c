"""Elections as tables for people to read."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_elections(elections: Iterable[Mapping[str, Any]]) -> None:
    """One line for each election."""
    columns = ("id", "name", "voting_start", "voting_end", "tallying_end", "cancelled_at", "block0_hash")
    _print("Elections", columns, elections)


def print_election(election: Mapping[str, Any]) -> None:
    """An election with all that belongs to it."""
    table = Table(title=Text(election["name"]), title_justify="left", show_header=False)
    for name, value in election.items():
        if not isinstance(value, list):
            table.add_row(name, _text(value))
    Console(soft_wrap=True).print(table)
    _print("Committee", ("member_index", "id", "member_public_key"), election["committee"])
    _print("Voters", ("voting_group", "voters", "voting_power"), election["voters"])
    proposals = ("objective", "payload_type", "voting_group", "title", "external_id", "options", "deleted")
    _print("Proposals", proposals, election["proposals"])
    plans = ("index", "chain_id", "payload_type", "voting_group", "block0_hash", "vote_start", "vote_end")
    _print("Vote plans", (*plans, "committee_end", "withdrawn_at", "fragment_id", "on_chain"), election["plans"])
    results = [
        {"plan": plan["chain_id"], "proposal": external_id, "votes": votes}
        for plan in election["plans"]
        for external_id, votes in plan["results"].items()
    ]
    _print("Results", ("plan", "proposal", "votes"), results)
    _print("Archives", ("kind", "block0_hash", "uri", "bytes", "sha256", "verified_at"), election["archives"])


def _print(title: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(_text(row[column]) for column in columns))
    if table.row_count:
        Console(soft_wrap=True).print(table)


def _text(value: object) -> Text:
    if value is None:
        return Text("")
    if isinstance(value, datetime):
        return Text(value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ"))
    if isinstance(value, list):
        return Text(", ".join(map(str, value)))
    return Text(str(value))
