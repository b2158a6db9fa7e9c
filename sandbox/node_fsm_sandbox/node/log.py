"""The node's log on the standard logger: JSON lines as jormungandr prints them, or plain text.

Loggers are named after jormungandr's modules (``jormungandr::blockchain::tip``); more fields than the message go
into ``extra={"fields": {...}}``.
"""

import json
import logging
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

TRACE = 5
LEVELS = {
    "off": logging.CRITICAL + 1,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE,
}
_NAMES = {level: name.upper() for name, level in LEVELS.items()}

_STREAMS = {"stdout": 1, "stderr": 2}

Format = Literal["default", "plain", "json"]


class LogSettings(NamedTuple):
    """*output* is ``stdout``, ``stderr`` or a file to append to. The defaults are the node's, trace on stderr."""

    level: str = "trace"
    format: Format = "default"
    output: Literal["stdout", "stderr"] | Path = "stderr"


def start_logging(settings: LogSettings) -> None:
    """Send the root logger's records where *settings* say; OSError when that is a file that cannot be opened."""
    if isinstance(settings.output, Path):
        output = os.open(settings.output, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    else:
        output = _STREAMS[settings.output]
    handler = _Output(output)
    handler.setFormatter(_Json() if settings.format == "json" else _Plain())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(LEVELS[settings.level])
    # The event loop's own chatter is no part of the node's log.
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def timestamp(time: datetime) -> str:
    """*time* in UTC as the node prints it: no trailing zeros, ``Z`` at the end."""
    seconds, _, fraction = time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").partition(".")
    fraction = fraction.rstrip("0")
    return f"{seconds}.{fraction}Z" if fraction else f"{seconds}Z"


class _Output(logging.Handler):
    """Writes lines to a file descriptor, whether or not anybody still reads them."""

    def __init__(self, output: int) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        line = f"{self.format(record)}\n".encode()
        with suppress(OSError):
            while line:
                line = line[os.write(self._output, line) :]


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.exc_info:
            message = f"{message}\n{self.formatException(record.exc_info)}"
        fields = {"message": message, **getattr(record, "fields", {})}
        return json.dumps(
            {
                "timestamp": timestamp(datetime.fromtimestamp(record.created, UTC)),
                "level": _NAMES.get(record.levelno, record.levelname),
                "fields": fields,
                "target": record.name,
            },
            separators=(",", ":"),
        )


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        time = timestamp(datetime.fromtimestamp(record.created, UTC))
        level = _NAMES.get(record.levelno, record.levelname)
        fields = "".join(f" {name}={value}" for name, value in getattr(record, "fields", {}).items())
        text = f"{time} {level:>5} {record.name}: {record.getMessage()}{fields}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text
