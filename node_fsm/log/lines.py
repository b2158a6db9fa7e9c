"""A record of the log as one line: text for people, JSON for machines.

Whatever reaches a line passes :func:`redact` first: the last line of defence, for a secret that should not have come
so far. Tracebacks show code and messages, never the values of variables.
"""

import json
import math
import re
import traceback
from datetime import UTC
from typing import TYPE_CHECKING

from node_fsm.core.printable import printable

if TYPE_CHECKING:
    from loguru import Record

_REDACTIONS = (
    # bech32 secret keys: of nodes and wallets, of committee members, of their communication
    (re.compile(r"_(member|vcomm)?sk1[0-9a-z]+", re.IGNORECASE), r"_\1sk1***"),
    # scheme://user:password@host; bounded, so that no line takes long however many of these it holds
    (re.compile(r"(://[^\s/:@]{0,256}:)[^\s@]{1,4096}@"), r"\1***@"),
    (re.compile(r"(\bpassword=)[^\s&'\"]+", re.IGNORECASE), r"\1***"),
)
_COLOURS = {"TRACE": "2", "DEBUG": "2", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}


def redact(text: str) -> str:
    """*text* with secret keys and passwords of URLs replaced by ``***``."""
    for pattern, replacement in _REDACTIONS:
        text = pattern.sub(replacement, text)
    return text


def json_line(record: "Record") -> str:
    """One JSON object without line breaks; a bound value gives way to a field of the same name."""
    fields: dict[str, str | int | float | bool | None] = {
        "time": _time(record),
        "level": record["level"].name,
        "logger": record["name"],
        "message": redact(record["message"]),
    }
    if exception := _exception(record):
        fields["exception"] = exception
    bound = {name: plain(value) for name, value in record["extra"].items()}
    return json.dumps(fields | {name: value for name, value in bound.items() if name not in fields})


def text_line(record: "Record") -> str:
    """Time, level, message and the bound values; further lines are indented, control characters escaped."""
    bound = " ".join(f"{name}={plain(value)}" for name, value in record["extra"].items())
    line = f"{_time(record)} {record['level'].name:<8} {redact(record['message'])}"
    lines = [f"{line}  [{bound}]" if bound else line]
    if exception := _exception(record):
        lines.append(exception)
    return printable("\n".join(lines).rstrip("\n")).replace("\n", "\n    ")


def coloured_line(record: "Record") -> str:
    """The text line in the colour of its level."""
    colour = _COLOURS.get(record["level"].name)
    line = text_line(record)
    return f"\x1b[{colour}m{line}\x1b[0m" if colour else line


def _time(record: "Record") -> str:
    return record["time"].astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _exception(record: "Record") -> str | None:
    raised = record["exception"]
    if raised is None or raised.value is None:
        return None
    return redact("".join(traceback.format_exception(raised.type, raised.value, raised.traceback)))


def plain(value: object) -> str | int | float | bool | None:
    """*value* as JSON has it; anything but a number, truth value or None as redacted text."""
    try:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int) and abs(value) < 2**63:
            return int(value)
        if isinstance(value, float) and math.isfinite(value):
            return float(value)
        return redact(str(value))
    except Exception:  # noqa: BLE001 - the methods of an unknown object may raise anything
        return f"<{type(value).__name__} that cannot be shown>"
