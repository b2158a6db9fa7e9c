"""``node-fsm lease``: the right to publish."""

from functools import partial
from typing import Annotated

import typer

from node_fsm.cli.confirm import confirm
from node_fsm.cli.database import database_settings, on_database
from node_fsm.cli.output import say

app = typer.Typer(no_args_is_help=True, help="The right to publish.")


@app.command()
def take(
    yes: Annotated[
        bool,
        typer.Option(
            "--yes",
            "--i-stopped-the-other",
            help="Do not ask: say that no other host runs leader 0's node any more. If one does, the chain may fork.",
        ),
    ] = False,
) -> None:
    """Let leader 0 on this host (NODE_FSM_HOSTNAME) start its node although another host never said that it stopped.

    Stop leader 0 and its node on the other host first.
    """
    from node_fsm.cli.output import text
    from node_fsm.database.administration import other_leaders0, take_lease

    hostname = database_settings().hostname
    others = on_database(partial(other_leaders0, hostname=hostname))
    for other in others:
        heard = f"was last heard of at {text(other.heard_at)}" if other.heard_at else "was never heard of"
        renews = ", and STILL RENEWS THE LEASE: it runs" if other.renews else ""
        confirm(
            f"{other.hostname} was leader 0, never said that it stopped, {heard}{renews}. If its node runs when"
            f" {hostname} starts one with the same key, the chain may fork and votes be lost. Go on only if"
            f" {other.hostname} and its node are off.",
            other.hostname,
            yes=yes,
        )
    hosts = on_database(partial(take_lease, hostname=hostname, stopped=[other.hostname for other in others]))
    if hosts:
        say(f"recorded that {' and '.join(hosts)} stopped; {hostname} may run leader 0's node")
    else:
        say("no other host was in the way")
