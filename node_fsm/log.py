"""Logging: loguru to one stream, as text for people or JSON lines for machines, and stdlib logging led into it.

Whatever reaches a line passes :func:`redact` first: the last line of defence, for a secret that should not have come
so far. Tracebacks show code and messages, never the values of variables.
"""

import json
import logging
import math
import re
import sys
import traceback
from datetime import UTC
from typing import TYPE_CHECKING, Literal, TextIO

from loguru import logger

if TYPE_CHECKING:
    from loguru import Message, Record

LogLevel = Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR"]
LogFormat = Literal["text", "json"]

_REDACTIONS = (
    # bech32 secret keys: of nodes and wallets, of committee members, of their communication
    (re.compile(r"_(member|vcomm)?sk1[0-9a-z]+", re.IGNORECASE), r"_\1sk1***"),
    # scheme://user:password@host; bounded, so that no line takes long however many of these it holds
    (re.compile(r"(://[^\s/:@]{0,256}:)[^\s@]{1,4096}@"), r"\1***@"),
    (re.compile(r"(\bpassword=)[^\s&'\"]+", re.IGNORECASE), r"\1***"),
)
_TALKATIVE = ("uvicorn", "alembic")
"""Libraries whose INFO is worth reading. None is let below that: botocore's DEBUG shows signed requests."""

_COLOURS = {"TRACE": "2", "DEBUG": "2", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}

_context: dict[str, object] = {}


def configure_logging(level: LogLevel, format_: LogFormat, stream: TextIO | None = None) -> None:
    """Send all logging of this process to *stream* (standard error by default); may be called again."""
    target = stream or sys.stderr
    render = json_line if format_ == "json" else coloured_line if target.isatty() else text_line

    def write(message: "Message") -> None:
        try:
            target.write(render(message.record) + "\n")
            target.flush()
        except (OSError, ValueError):
            pass  # a log that is full or closed ends no election

    logger.remove()
    # catch=True would print the whole record past our redaction when writing fails.
    logger.add(write, level=level, format=_nothing, diagnose=False, backtrace=False, catch=False)
    logging.captureWarnings(capture=True)
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.WARNING, force=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.INFO)


def bind_context(**values: object) -> None:
    """Have every later record of this process carry these values; None takes one away."""
    _context.update(values)
    logger.configure(extra={name: value for name, value in _context.items() if value is not None})


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
    bound = {name: _plain(value) for name, value in record["extra"].items()}
    return json.dumps(fields | {name: value for name, value in bound.items() if name not in fields})


def text_line(record: "Record") -> str:
    """Time, level, message and the bound values; further lines are indented, control characters escaped."""
    bound = " ".join(f"{name}={_plain(value)}" for name, value in record["extra"].items())
    line = f"{_time(record)} {record['level'].name:<8} {redact(record['message'])}"
    lines = [f"{line}  [{bound}]" if bound else line]
    if exception := _exception(record):
        lines.append(exception)
    text = "\n".join(lines).rstrip("\n").translate(_CONTROL).replace("\n", "\n    ")
    return text.encode(errors="backslashreplace").decode()


def coloured_line(record: "Record") -> str:
    """The text line in the colour of its level."""
    colour = _COLOURS.get(record["level"].name)
    line = text_line(record)
    return f"\x1b[{colour}m{line}\x1b[0m" if colour else line


class _ToLoguru(logging.Handler):
    """Hands records of the stdlib's logging on to loguru, under the name of their own logger."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except Exception as error:  # noqa: BLE001 - arguments that do not fit may raise anything
            message = f"{_plain(record.msg)} (its arguments do not fit: {type(error).__name__})"
        known = record.levelname in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}
        named = logger.patch(lambda loguru_record: loguru_record.update({"name": record.name}))
        named.opt(exception=record.exc_info).log(record.levelname if known else record.levelno, message)


def _nothing(_record: "Record") -> str:
    return ""  # the sink renders the record itself


def _time(record: "Record") -> str:
    return record["time"].astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _exception(record: "Record") -> str | None:
    raised = record["exception"]
    if raised is None or raised.value is None:
        return None
    return redact("".join(traceback.format_exception(raised.type, raised.value, raised.traceback)))


def _plain(value: object) -> str | int | float | bool | None:
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
