"""The node's output as log records: JSON lines of its logger, and whatever else it prints."""

import json
from typing import Any

from loguru import logger

MAX_LINE = 64 * 2**10
"""Bytes of a line that are kept; the rest of a longer one is dropped."""

_LEVELS = {"ERROR": "ERROR", "WARN": "WARNING", "INFO": "DEBUG", "DEBUG": "DEBUG", "TRACE": "TRACE"}
"""Ours by the node's: it tells of every block at its INFO, which is the pulse of a chain and not news of a service."""
_ROUTINE = {"warp::": "INFO", "jormungandr::topology::": "WARN"}
"""Lines of these targets say nothing up to this level of the node's: two for every REST request, most of them our own,
and one every few seconds while a node has no peer, which we know."""


class Lines:
    """Cuts a stream of bytes into lines of text, each cut to MAX_LINE bytes, bytes that are no UTF-8 replaced."""

    def __init__(self) -> None:
        self._begun = bytearray()

    def feed(self, chunk: bytes) -> list[str]:
        """The lines that end in *chunk*."""
        *ends, begun = chunk.split(b"\n")
        lines = []
        for end in ends:
            self._take(end)
            lines.append(self._begun.decode(errors="replace"))
            self._begun.clear()
        self._take(begun)
        return lines

    def end(self) -> list[str]:
        """What came after the last end of line."""
        return self.feed(b"\n") if self._begun else []

    def _take(self, part: bytes) -> None:
        self._begun += part[: MAX_LINE - len(self._begun)]


def log_line(line: str) -> None:
    """Put one line of the node's standard output into the log, at the level that the node gave it."""
    record = _record(line)
    if record is None:
        logger.bind(source="jormungandr").info(line)
        return
    fields = dict(record["fields"])
    message = str(fields.pop("message", ""))
    details = " ".join(f"{name}={value}" for name, value in fields.items())
    target = str(record.get("target", ""))
    said = str(record.get("level"))
    routine = any(target.startswith(prefix) and said in {"INFO", level} for prefix, level in _ROUTINE.items())
    level = "TRACE" if routine else _LEVELS.get(said, "INFO")
    logger.bind(source="jormungandr", target=target).log(level, f"{message} {details}".rstrip())


def log_error_line(line: str) -> None:
    """Put one line of the node's standard error into the log: start-up errors and panics."""
    logger.bind(source="jormungandr").warning(line)


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("fields"), dict) else None
