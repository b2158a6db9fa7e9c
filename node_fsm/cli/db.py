"""``node-fsm db``: the database's schema."""

import asyncio

import typer

from node_fsm.cli.database import database_settings
from node_fsm.cli.output import Column, Output, OutputOption, print_json, say

app = typer.Typer(no_args_is_help=True, help="The database's schema.")

UPGRADE = (
    Column("before", None, "The number of the schema before; null when there was none."),
    Column("after", None, "The number of the schema now."),
    Column("applied", None, "The migrations that were applied, each with `revision` and `title`; empty when none was."),
    Column("broken", None, "Constraints, as `table.constraint`, that rows break which were there before."),
)


@app.command("upgrade")
def upgrade_database(output: OutputOption = Output.TEXT) -> None:
    """Bring the database to the schema of this version, and say what that changed."""
    from node_fsm.database.migrate import upgrade

    done = asyncio.run(upgrade(database_settings().database_url.get_secret_value()))
    if output is Output.JSON:
        print_json(done)
        return
    if not done.applied:
        say(f"the database has the schema {done.after} of this version already; nothing was changed")
    else:
        was = f"had the schema {done.before}" if done.before else "was empty"
        say(f"the database {was}, and has the schema {done.after} of this version now; these were applied:")
    for migration in done.applied:
        say(f"  {migration.revision}  {migration.title}")
    for constraint in done.broken:
        say(f"warning: rows break {constraint}: correct them, then ALTER TABLE … VALIDATE CONSTRAINT", err=True)
