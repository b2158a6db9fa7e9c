"""The settings as people read them: what is in effect without its secrets, and the table of all there are."""

from pydantic import SecretStr

from node_fsm.log import redact
from node_fsm.settings.model import Settings


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
