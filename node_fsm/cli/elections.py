"""``node-fsm election``: importing, showing and cancelling elections."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node_fsm.cli.confirm import YesOption, confirm
from node_fsm.cli.database import database_settings, on_database
from node_fsm.cli.output import say
from node_fsm.cli.progress import progress_stages
from node_fsm.cli.results import results
from node_fsm.cli.show import list_, show

if TYPE_CHECKING:
    from node_fsm.database.election_import import Imported
    from node_fsm.database.session import Session

app = typer.Typer(no_args_is_help=True, help="Elections.")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="The election, as YAML.")],
    voters: Annotated[Path, typer.Option(help="CSV with the columns voting_key, voting_group and voting_power.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the election of this name, as long as it is not published.")
    ] = False,
    template: Annotated[
        Path | None,
        typer.Option(help="Block 0 template that the election will run with. By default NODE_FSM_BLOCK0_TEMPLATE."),
    ] = None,
) -> None:
    """Check an election and its voters, and write both into the database: all, or nothing."""
    from node_fsm.block0.checks.ballot import private_objectives
    from node_fsm.block0.template import load_template
    from node_fsm.cli.decryption import decryption_limit
    from node_fsm.database.election_import import import_election
    from node_fsm.importing.election_document import parse_election
    from node_fsm.importing.text_file import read_text

    settings = database_settings()
    block0_template = load_template(template or settings.block0_template)
    document = parse_election(read_text(file), str(file), block0_template, settings.voting_start_offset_minutes)
    warnings = document.warnings(datetime.now(UTC))

    async def write(session: "Session") -> "Imported":
        limit = None
        if private_objectives(document.election.specification()):
            limit = await decryption_limit(session, settings)
        if isinstance(limit, str):
            warnings.append(limit)
            limit = None
        return await import_election(session, document, voters, replace=replace, decryption=limit, stages=stages)

    with progress_stages() as stages:
        imported = on_database(write)
    say(f"{document.election.name} is election {imported.election_id}, with {imported.voters} voters")
    for warning in (*imported.warnings, *warnings):
        say(f"warning: {warning}", err=True)


app.command("list")(list_)
app.command("show")(show)
app.command("results")(results)


@app.command("cancel")
def cancel(name: Annotated[str, typer.Argument(help="The election.")], yes: YesOption = False) -> None:
    """End an election: it does not start any more, or, published, leader 0 withdraws block 0 and archives the chain.

    Asks when block 0 is published, because then votes may be lost.
    """
    from node_fsm.database.administration import cancel_election, election_state

    seen = on_database(partial(election_state, name=name))
    if seen.published and not seen.cancelled and not seen.archived and not seen.counted:
        confirm(
            f"Block 0 {seen.block0_hash or 'that vanished from the row'} of {name} is published. Leader 0 withdraws it,"
            " and all nodes stop and let go of its chain. Votes on its chain are not counted. This cannot be undone.",
            name,
            yes=yes,
        )
    block0_hash = on_database(partial(cancel_election, name=name, seen=seen))
    say(f"{name} is cancelled" + (f"; leader 0 withdraws block 0 {block0_hash}" if block0_hash else ""))


@app.command("confirm")
def confirm_(name: Annotated[str, typer.Argument(help="The election.")], yes: YesOption = False) -> None:
    """Have an election counted as leader 0 has its chain, although no majority of its leaders confirms that chain.

    Before the tally it is then not waited for the others; afterwards the count is not called disputed any more. Only
    for leaders that are gone for good: votes that stand on another part of a split chain alone do not count.
    """
    from node_fsm.database.administration import confirm_tally, election_state

    seen = on_database(partial(election_state, name=name))
    if seen.block0_hash and not seen.confirmed:
        what = "Its results are posted, and stand for good" if seen.counted else "It is counted as leader 0 has it"
        why = f" although {seen.disputed}" if seen.disputed else ""
        confirm(
            f"{name} runs on block 0 {seen.block0_hash}. {what}{why}: votes that stand on another part of the chain"
            " alone are not counted, also if its leaders come back in time. This cannot be undone.",
            name,
            yes=yes,
        )
    block0_hash, is_counted = on_database(partial(confirm_tally, name=name, seen=seen))
    effect = "its results stand" if is_counted else "leader 0 counts it without waiting for other leaders"
    say(f"{name} is confirmed on chain {block0_hash}: {effect}")


@app.command("acknowledge")
def acknowledge(name: Annotated[str, typer.Argument(help="The election.")], yes: YesOption = False) -> None:
    """Say that you know of the votes of an election that are not counted; they stay in the table uncounted_vote."""
    from node_fsm.database.administration import acknowledge_lost_votes, lost_votes

    count, weight = on_database(partial(lost_votes, name=name))
    if count:
        confirm(
            f"{count} votes of {name} with a weight of {weight} were accepted in time and are not counted. Once this is"
            " acknowledged nothing tells of them any more.",
            name,
            yes=yes,
        )
    count = on_database(partial(acknowledge_lost_votes, name=name))
    say(f"{count} votes of {name} that are not counted are acknowledged")
