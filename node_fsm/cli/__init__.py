"""The command line: ``node-fsm``.

A module here holds one group of commands. It imports what it needs inside them, so that `--version`, help and a TAB in
the shell do not wait for the database's, S3's or HTTP's libraries.
"""

import os
import resource
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from node_fsm import __version__
from node_fsm.cli import (
    archives,
    committee,
    config,
    db,
    demo,
    doctor,
    elections,
    journal,
    lease,
    nodes,
    plan,
    reference,
    run,
    status,
    table,
    tally,
    verify,
)
from node_fsm.cli.output import exit_code
from node_fsm.core.errors import InvalidInputError, ServiceError
from node_fsm.core.printable import printable


class Commands(TyperGroup):
    """Whatever a command cannot do is a sentence on standard error, and an exit code of :mod:`node_fsm.cli.output`."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except ServiceError as error:
            typer.echo(printable(error.message if isinstance(error, InvalidInputError) else str(error)), err=True)
            raise typer.Exit(exit_code(error)) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # its tracebacks show the values of variables
)


def print_version(wanted: bool) -> None:
    """Print the version and end, if that is what was asked for."""
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Runs an on-chain election by itself: a finite-state machine around a jormungandr node."""
    from node_fsm.log import configure_logging, known_format, known_level

    write_no_core_files()
    # Also where nothing is set: loguru's own default shows the values of variables. What is set wrongly is said where
    # settings are loaded.
    level = known_level(os.environ.get("NODE_FSM_LOG_LEVEL", ""))
    configure_logging(level or "WARNING", known_format(os.environ.get("NODE_FSM_LOG_FORMAT", "")) or "text")


def write_no_core_files() -> None:
    """Have neither this process nor any that it starts, jcli and the node, leave a core file: keys would be in it.

    The limit is one byte where it may be: a program that ``kernel.core_pattern`` names gets cores past a limit of 0.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (1 if hard else 0, hard))


@app.command("version")
def version() -> None:
    """Print the version."""
    print_version(True)


app.command("config")(config.config)
app.command("check")(doctor.check)
app.command("commands")(reference.commands)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
app.command("journal")(journal.journal)
app.command("plan")(plan.plan)
app.command("run")(run.run)
app.command("status")(status.status)
app.command("table")(table.table)
app.command("tally")(tally.tally)
app.command("verify")(verify.verify)
app.add_typer(archives.app, name="archive")
app.add_typer(db.app, name="db")
app.add_typer(nodes.app, name="node")
app.add_typer(elections.app, name="election")
app.add_typer(lease.app, name="lease")
app.add_typer(committee.app, name="committee")
