"""Logging: loguru to one stream, as text for people or JSON lines for machines, and stdlib logging led into it."""

from node_fsm.log.configure import (
    LogFormat,
    LogLevel,
    bind_context,
    configure_logging,
    flush_log,
    known_format,
    known_level,
    lines_dropped,
)
from node_fsm.log.lines import redact

__all__ = [
    "LogFormat",
    "LogLevel",
    "bind_context",
    "configure_logging",
    "flush_log",
    "known_format",
    "known_level",
    "lines_dropped",
    "redact",
]
