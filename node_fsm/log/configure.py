"""Where the log of this process goes, in which form, and what its records carry."""

import atexit
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TextIO, cast, get_args

from loguru import logger

from node_fsm.log.lines import coloured_line, json_line, plain, text_line
from node_fsm.log.writer import EXIT_SECONDS, LineWriter

if TYPE_CHECKING:
    from loguru import Record

LogLevel = Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR"]
LogFormat = Literal["text", "json"]

_TALKATIVE = ("uvicorn", "alembic")
"""Libraries whose INFO is worth reading. None is let below that: botocore's DEBUG shows signed requests."""

_context: dict[str, object] = {}
_writers: list[LineWriter] = []
"""One for each time that logging was configured; the last one is in use."""


def configure_logging(level: LogLevel, format_: LogFormat, stream: TextIO | None = None) -> None:
    """Send all logging of this process to *stream* (standard error by default); may be called again.

    Nobody waits for a stream that has a file descriptor: see :class:`~node_fsm.log.writer.LineWriter`.
    """
    target = cast("TextIO | None", stream or sys.stderr)
    logger.remove()
    for writer in _writers:
        writer.close()
    if target is not None:  # as it is when standard error was closed before this process began
        render = json_line if format_ == "json" else coloured_line if target.isatty() else text_line
        write = _writing(target, lambda dropped: render(_dropped_record(dropped)))
        # catch=True would print the whole record past our redaction when writing fails.
        logger.add(
            lambda message: write(render(message.record)),
            level=level,
            format=_nothing,
            diagnose=False,
            backtrace=False,
            catch=False,
        )
    logging.captureWarnings(capture=True)
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.WARNING, force=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.INFO)


def known_level(text: str) -> LogLevel | None:
    """The level of that name, in capitals or not; None when there is none."""
    return next((level for level in get_args(LogLevel) if level == text.strip().upper()), None)


def known_format(text: str) -> LogFormat | None:
    """The format of that name; None when there is none."""
    return next((format_ for format_ in get_args(LogFormat) if format_ == text.strip()), None)


def bind_context(**values: object) -> None:
    """Have every later record of this process carry these values; None takes one away."""
    _context.update(values)
    logger.configure(extra={name: value for name, value in _context.items() if value is not None})


def lines_dropped() -> int:
    """How many lines of this process's log were dropped because the log did not take them."""
    return sum(writer.dropped for writer in _writers)


def flush_log(timeout: float = EXIT_SECONDS) -> bool:
    """Wait until the lines so far are written, *timeout* seconds at most; whether they are."""
    return not _writers or _writers[-1].flush(timeout)


def _writing(target: TextIO, notice: Callable[[int], str]) -> Callable[[str], None]:
    """A function that writes a line to *target* and neither waits nor fails."""
    try:
        descriptor = target.fileno()
    except (OSError, ValueError):  # in memory, where nothing waits
        return lambda line: _write_at_once(target, line)
    if not _writers:
        atexit.register(flush_log)
    _writers.append(LineWriter(descriptor, notice))
    return _writers[-1].write


def _write_at_once(target: TextIO, line: str) -> None:
    try:
        target.write(f"{line}\n")
        target.flush()
    except (OSError, ValueError):
        pass  # a log that is full or closed ends no election


def _dropped_record(dropped: int) -> "Record":
    """A record that goes past loguru: it is made while loguru writes another, or by the thread that writes."""
    record = {
        "time": datetime.now(UTC),
        "level": logger.level("WARNING"),
        "name": __name__,
        "message": f"{dropped} lines of the log were dropped: what reads it stood still, or its disk was full",
        "exception": None,
        "extra": {name: value for name, value in _context.items() if value is not None},
    }
    return cast("Record", record)


class _ToLoguru(logging.Handler):
    """Hands records of the stdlib's logging on to loguru, under the name of their own logger."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except Exception as error:  # noqa: BLE001 - arguments that do not fit may raise anything
            message = f"{plain(record.msg)} (its arguments do not fit: {type(error).__name__})"
        known = record.levelname in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}
        named = logger.patch(lambda loguru_record: loguru_record.update({"name": record.name}))
        named.opt(exception=record.exc_info).log(record.levelname if known else record.levelno, message)


def _nothing(_record: "Record") -> str:
    return ""  # the sink renders the record itself
