"""``node-fsm config``: the effective settings, secrets hidden."""

import os
from typing import Annotated

import typer

from node_fsm.cli.output import Output, OutputOption, print_json
from node_fsm.core.printable import printable


def config(
    output: OutputOption = Output.TEXT,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the table of all settings for the documentation.")
    ] = False,
) -> None:
    """Print the effective settings, secrets hidden, or all that is wrong with them."""
    from node_fsm.settings.describe import settings_table, shown
    from node_fsm.settings.model import Settings, load_settings

    if markdown:
        typer.echo(settings_table())
        return
    settings = load_settings(os.environ, Settings)
    values = {settings.variable(field): shown(settings, field) for field in Settings.model_fields}
    if output is Output.JSON:
        print_json(values)
        return
    width = max(map(len, values))
    for field, (variable, value) in zip(Settings.model_fields, values.items(), strict=True):
        origin = "" if field in settings.model_fields_set else "  (default)"
        typer.echo(printable(f"{variable:<{width}}  {'' if value is None else value}{origin}".rstrip()))
