"""``node-fsm db``: the database's schema."""

import asyncio

import typer

from node_fsm.cli.database import database_settings
from node_fsm.cli.output import say

app = typer.Typer(no_args_is_help=True, help="The database's schema.")


@app.command("upgrade")
def upgrade_database() -> None:
    """Bring the database to the schema of this version; does nothing when it is there."""
    from node_fsm.database.migrate import upgrade

    broken = asyncio.run(upgrade(database_settings().database_url.get_secret_value()))
    say("the database has the schema of this version")
    for constraint in broken:
        say(f"warning: rows break {constraint}: correct them, then ALTER TABLE … VALIDATE CONSTRAINT", err=True)
