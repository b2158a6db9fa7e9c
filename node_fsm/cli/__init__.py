"""The command line: ``node-fsm``."""

import asyncio
import os
import sys

import typer

from node_fsm import __version__
from node_fsm.cli.config import config
from node_fsm.cli.database import db, election, lease, node
from node_fsm.cli.demo import demo
from node_fsm.cli.table import table
from node_fsm.cli.verify import verify
from node_fsm.core.errors import ServiceError
from node_fsm.log import configure_logging
from node_fsm.settings.model import Settings, SettingsError, load_settings

USAGE_ERROR = 2

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # its tracebacks show the values of variables
)


@app.callback()
def common() -> None:
    """Runs an on-chain election by itself: a finite-state machine around a jormungandr node."""
    configure_logging("WARNING", "text")  # loguru's own default shows the values of variables


@app.command()
def run() -> None:
    """Run the service until SIGTERM."""
    from node_fsm.service import run_service  # noqa: PLC0415 - other commands need none of it

    try:
        settings = load_settings(os.environ, Settings)
    except SettingsError as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(USAGE_ERROR) from None
    configure_logging(settings.log_level, settings.log_format)
    try:
        asyncio.run(run_service(settings))
    except ServiceError as error:
        typer.echo(f"{error.reason}: {error.message}", err=True)
        raise typer.Exit(1) from None


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


app.command()(config)
app.command()(demo)
app.command()(table)
app.command()(verify)
app.add_typer(db, name="db")
app.add_typer(node, name="node")
app.add_typer(election, name="election")
app.add_typer(lease, name="lease")


def main() -> None:
    """The console script."""
    sys.exit(app())
