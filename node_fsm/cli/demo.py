"""``node-fsm demo``: two whole elections on this machine, with nothing but this package."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer


def demo(
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what came of it, as JSON, to this file.")
    ] = None,
    jcli: Annotated[Path | None, typer.Option(metavar="PATH", help="The real jcli, instead of the stand-in.")] = None,
    jormungandr: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The real jormungandr, instead of the stand-in.")
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep logs, storage, votes and archives in this new or empty directory."),
    ] = None,
) -> None:
    """Hold two elections in a row on three nodes, kill a service in each, and compare the results with the votes.

    It brings its own Postgres and S3, uses no setting, and leaves nothing behind. Takes less than three minutes and
    ends with 0 only if everything matched.
    """
    if not find_spec("node_fsm_sandbox"):
        typer.echo("the demo needs stand-ins for Postgres, S3 and the node: pip install node-fsm-sandbox", err=True)
        raise typer.Exit(1)
    from node_fsm_sandbox.demo.entry import run

    raise typer.Exit(run(report=report, jcli=jcli, jormungandr=jormungandr, keep=keep))
