"""``node-fsm lease``: the right to publish."""

from functools import partial
from typing import Annotated

import typer

from node_fsm.cli.database import database_settings, on_database

app = typer.Typer(no_args_is_help=True, help="The right to publish.")


@app.command()
def take(
    i_stopped_the_other: Annotated[
        bool,
        typer.Option(
            "--i-stopped-the-other",
            help="Say that no other host runs leader 0's node any more. If one does, the chain may fork.",
        ),
    ] = False,
) -> None:
    """Let leader 0 on this host (NODE_FSM_HOSTNAME) start its node although another host never said that it stopped."""
    from node_fsm.database.administration import take_lease

    hostname = database_settings().hostname
    if not i_stopped_the_other:
        typer.echo("stop leader 0 and its node on the other host, then give --i-stopped-the-other", err=True)
        raise typer.Exit(2)
    hosts = on_database(partial(take_lease, hostname=hostname))
    if hosts:
        typer.echo(f"recorded that {' and '.join(hosts)} stopped; {hostname} may run leader 0's node")
    else:
        typer.echo("no other host was in the way")
