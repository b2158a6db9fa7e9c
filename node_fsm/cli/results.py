"""``node-fsm election results``: the counted votes, for people, programs and spreadsheets."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Annotated, Any

import typer

from node_fsm.cli.database import on_database
from node_fsm.cli.output import Column, TableOption, TableOutput, print_table, table_lines, terminal_width, title
from node_fsm.core.printable import one_line

RESULTS = (
    Column("election", None, "The election's name."),
    Column("objective", None, "The objective's title; null once its row is gone."),
    Column("proposal", None, "The proposal's title; null once its row is gone."),
    Column("option", "option", "The option's text."),
    Column("votes", "votes", "The votes for it, in units of voting power."),
    Column("voting_group", None, "Whose voters voted on it."),
    Column("payload_type", None, "`public` or `private`."),
    Column("external_id", None, "The proposal's name on the chain, in hex."),
    Column("option_index", None, "The option's number on the chain, from 0."),
    Column("plan", None, "The id of the vote plan on the chain."),
    Column("plan_index", None, "The plan's number within the election, from 0."),
    Column("proposal_index", None, "The proposal's number within the plan, from 0."),
    Column("block0_hash", None, "The chain."),
    Column("on_chain", None, "Whether the tally is in a block of the chain."),
    Column("fragment_id", None, "The tally on the chain; null where there is none."),
    Column("disputed", None, "Why no majority of the leaders confirmed the chain that was counted; null when one did."),
    Column("confirmed_at", None, "When a person said that a disputed count stands; null when none did."),
    Column("decided_at", None, "When the results were posted."),
)


def results(name: Annotated[str, typer.Argument(help="The election.")], output: TableOption = TableOutput.TEXT) -> None:
    """Show the votes that were counted: a row for each option of each proposal. There are none before the tally."""
    from node_fsm.database.election_show import election_results

    stage, rows = on_database(partial(election_results, name=name))
    if output is not TableOutput.TEXT or not rows:
        print_table(rows, RESULTS, output, empty=f"{name} has no results: {stage.description}")
        return
    for line in lines(rows, terminal_width()):
        typer.echo(line)


def lines(rows: Sequence[dict[str, Any]], width: int | None) -> Iterator[str]:
    """The results for people: a table for each proposal."""
    for block0_hash, chain in groupby(rows, key=lambda row: row["block0_hash"]):
        of_chain = list(chain)
        if why := of_chain[0]["disputed"]:
            stands = "a person said that it stands" if of_chain[0]["confirmed_at"] else "it may not stand"
            yield title(f"The count of chain {block0_hash} is disputed, and {stands}:")
            yield one_line(why)
            yield ""
        for (plan, number), options in groupby(of_chain, key=lambda row: (row["plan"], row["proposal_index"])):
            of_proposal = list(options)
            first = of_proposal[0]
            total = sum(row["votes"] for row in of_proposal)
            yield title(first["proposal"] or f"proposal {number} of plan {plan}")
            yield one_line(f"{first['objective'] or 'of an objective that is gone'}, {first['payload_type']} votes")
            cells = [
                [row["option"] or row["option_index"], row["votes"], f"{row['votes'] / max(total, 1):.1%}"]
                for row in of_proposal
            ]
            yield from table_lines(["option", "votes", "share"], cells, width)
            yield ""
