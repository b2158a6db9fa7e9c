"""``node-fsm election list`` and ``show``: elections as tables for people to read, as JSON, or as CSV."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import typer

from node_fsm.cli.database import on_database
from node_fsm.cli.output import (
    Column,
    Output,
    OutputOption,
    TableOption,
    TableOutput,
    block_lines,
    print_json,
    print_table,
    say,
    table_lines,
    terminal_width,
    text,
    title,
)
from node_fsm.core.cluster_status import Stage

DATES = ("vote_start", "vote_end", "committee_end")
VOTERS = {"group": "voting_group", "voters": "voters", "voting power": "voting_power"}
MEMBERS = {"member": "member_index", "id": "id", "key for private votes": "member_public_key"}
ARCHIVES = {"kind": "kind", "verified": "verified_at", "bytes": "bytes", "uri": "uri", "sha256": "sha256"}
ELECTIONS = (
    Column("name", "election", "The election's name."),
    Column("stage", "stage", f"How far it is: {', '.join(f'`{stage}`' for stage in Stage)}."),
    Column("voting_start", "voting begins", "When voting begins."),
    Column("voting_end", "voting ends", "When voting ends."),
    Column("tallying_end", None, "Until when shares are taken and results are posted."),
    Column("cancelled_at", None, "When it was cancelled; null when it was not."),
    Column("block0_hash", None, "Its block 0; null before it is published, and once it is withdrawn."),
    Column("fault", None, "Why its row cannot be read; null when it can."),
    Column("id", None, "Its id in the database."),
)


def list_(output: TableOption = TableOutput.TEXT) -> None:
    """List all elections, and how far each of them is."""
    from node_fsm.database.election_show import list_elections

    found = on_database(list_elections)
    if output is TableOutput.TEXT:
        found = [election | {"stage": election["stage"].replace("_", " ")} for election in found]
    print_table(found, ELECTIONS, output, empty="there are no elections yet; `node-fsm election import` writes one")
    if output is TableOutput.TEXT:
        for election in found:
            if election["fault"]:
                say(f"{election['name']} is left out: {election['fault']}")


def show(
    name: Annotated[str, typer.Argument(help="The election; `election list` shows all there are.")],
    output: OutputOption = Output.TEXT,
) -> None:
    """Show an election: times, committee, voters, proposals, plans, results, archives."""
    from node_fsm.database.election_show import describe_election

    election = on_database(partial(describe_election, name=name))
    if output is Output.JSON:
        print_json(election)
        return
    for line in lines(election, terminal_width()):
        typer.echo(line)


def lines(election: Mapping[str, Any], width: int | None) -> Iterator[str]:
    """An election with all that belongs to it, for people."""
    yield title(election["name"])
    yield from block_lines([(heading, text(value)) for heading, value in _facts(election)], width)
    for objective, proposals in _by_objective(election["proposals"]):
        first = proposals[0]
        yield from _section(f"{objective}: {first['payload_type']} votes of {first['voting_group']}")
        rows = [[_titled(proposal), proposal["options"]] for proposal in proposals]
        yield from table_lines(["proposal", "options"], rows, width)
    yield from _table("Voters", election["voters"], VOTERS, width)
    yield from _table("Committee", election["committee"], MEMBERS, width)
    for plan in election["plans"]:
        yield from _section(f"Plan {plan['chain_id']}" + (": withdrawn" if plan["withdrawn_at"] else ""))
        yield from block_lines([(heading, text(value)) for heading, value in _plan(plan)], width)
        if plan["proposals"]:
            results = plan["results"]
            rows = [
                [
                    proposal["index"],
                    proposal["title"],
                    _votes(proposal, results.get(proposal["external_id"])),
                    proposal["external_id"],
                ]
                for proposal in plan["proposals"]
            ]
            yield from table_lines(
                ["number", "proposal", "votes" if results else "options", "external id"], rows, width
            )
    yield from _table("Archives", election["archives"], ARCHIVES, width)


def _facts(election: Mapping[str, Any]) -> list[tuple[str, object]]:
    return [
        ("description", election["description"]),
        ("stage", election["stage"].description),
        *([("fault", election["fault"])] if election["fault"] else []),
        *([("cancelled", election["cancelled_at"])] if election["cancelled_at"] else []),
        ("voting begins", election["voting_start"]),
        ("voting ends", election["voting_end"]),
        ("tallying ends", election["tallying_end"]),
        ("one vote is", f"{election['voting_power_unit']} of voting power"),
        ("block 0", election["block0_hash"] or "not published"),
        ("id", election["id"]),
    ]


def _plan(plan: Mapping[str, Any]) -> list[tuple[str, object]]:
    count = "on the chain" if plan["on_chain"] else "not on the chain"
    return [
        ("block 0", plan["block0_hash"]),
        ("published", f"{text(plan['published_at'])} by {text(plan['published_by'])}"),
        *([("withdrawn", plan["withdrawn_at"])] if plan["withdrawn_at"] else []),
        ("votes", f"{plan['payload_type']}, of {plan['voting_group']}"),
        *((f"{name.replace('_', ' ')}", f"{plan[name]} ({text(plan[f'{name}_at'])})") for name in DATES),
        ("token", plan["token"]),
        *([("encryption key", plan["encryption_key"])] if plan["encryption_key"] else []),
        *([("results", f"posted {text(plan['decided_at'])}, {count}")] if plan["decided_at"] else []),
        *([("tally", plan["fragment_id"])] if plan["fragment_id"] else []),
        *([("disputed", plan["disputed"])] if plan["disputed"] else []),
        *([("confirmed", plan["confirmed_at"])] if plan["confirmed_at"] else []),
    ]


def _by_objective(proposals: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    for objective in dict.fromkeys(proposal["objective"] for proposal in proposals):
        yield objective, [proposal for proposal in proposals if proposal["objective"] == objective]


def _titled(proposal: Mapping[str, Any]) -> str:
    return f"{proposal['title']} (deleted)" if proposal["deleted"] else str(proposal["title"])


def _votes(proposal: Mapping[str, Any], votes: Sequence[int] | None) -> list[str]:
    if votes is None:
        return list(proposal["options"])
    return [f"{option}: {count}" for option, count in zip(proposal["options"], votes, strict=False)]


def _table(
    name: str, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], width: int | None
) -> Iterator[str]:
    """A titled table of the *columns*, by heading; nothing when there are no rows."""
    if rows:
        yield from _section(name)
        yield from table_lines(list(columns), [[row[column] for column in columns.values()] for row in rows], width)


def _section(name: str) -> list[str]:
    return ["", title(name)]
