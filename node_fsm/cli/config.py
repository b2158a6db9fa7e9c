"""``node-fsm config``: the effective settings, secrets hidden."""

import json
import os
from typing import Annotated

import typer


def config(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object by variable.")] = False,
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
    if as_json:
        typer.echo(json.dumps(values, indent=2))
        return
    width = max(map(len, values))
    for field, (variable, value) in zip(Settings.model_fields, values.items(), strict=True):
        origin = "" if field in settings.model_fields_set else "  (default)"
        typer.echo(f"{variable:<{width}}  {'' if value is None else value}{origin}".rstrip())
