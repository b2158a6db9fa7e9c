"""``node-fsm config``: the effective settings, secrets hidden."""

import json
import os
from typing import Annotated

import typer
from pydantic import SecretStr

from node_fsm.log import redact
from node_fsm.settings.model import Settings, SettingsError, load_settings


def config(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object by variable.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the table of all settings for the documentation.")
    ] = False,
) -> None:
    """Print the effective settings, secrets hidden, or all that is wrong with them."""
    if markdown:
        typer.echo(settings_table())
        return
    try:
        settings = load_settings(os.environ, Settings)
    except SettingsError as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(2) from None
    values = {settings.variable(field): shown(settings, field) for field in Settings.model_fields}
    if as_json:
        typer.echo(json.dumps(values, indent=2))
        return
    width = max(map(len, values))
    for field, (variable, value) in zip(Settings.model_fields, values.items(), strict=True):
        origin = "" if field in settings.model_fields_set else "  (default)"
        typer.echo(f"{variable:<{width}}  {'' if value is None else value}{origin}".rstrip())


def shown(settings: Settings, field: str) -> str | int | float | bool | None:
    """The value of *field* for a person to see: no password, no key."""
    value: object = getattr(settings, field)
    if field == "database_url":
        return redact(settings.database_url.get_secret_value())
    if isinstance(value, SecretStr):
        return "***"
    return value if value is None or isinstance(value, int | float) else redact(str(value))


def settings_table() -> str:
    """The Markdown table of all settings: variable, default, meaning."""
    rows = ["| Variable | Default | Meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.get_default()
        if field.is_required():
            text = "must be set"
        elif default in {None, ""} or field.default_factory:
            text = ""
        else:
            text = f"`{str(default).lower() if isinstance(default, bool) else default}`"
        rows.append(f"| `{Settings.variable(name)}` | {text} | {field.description} |")
    return "\n".join(rows)
