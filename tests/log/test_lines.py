"""The two forms of a line, and what is bound to it."""

import asyncio
import io
import json
import logging
import re
import warnings
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loguru import logger

from node_fsm.log import bind_context, configure_logging
from tests.log.conftest import Log


class Unshowable:
    """An object whose every conversion fails."""

    def __str__(self) -> NoReturn:
        raise RuntimeError("no text")

    __repr__ = __str__


def test_a_json_line_has_time_level_logger_message_and_context(log: Log) -> None:
    bind_context(hostname="leader0", role="leader0", election="fund9", phase="Running")
    logger.bind(source="jormungandr").info("a block")
    record = log.last
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record.pop("time"))
    assert record == {
        "level": "INFO",
        "logger": "tests.log.test_lines",
        "message": "a block",
        "hostname": "leader0",
        "role": "leader0",
        "election": "fund9",
        "phase": "Running",
        "source": "jormungandr",
    }


async def test_context_reaches_tasks_that_run_already(log: Log) -> None:
    go = asyncio.Event()

    async def other() -> None:
        await go.wait()
        logger.info("from another task")

    task = asyncio.create_task(other())
    await asyncio.sleep(0)
    bind_context(phase="Tallying")
    go.set()
    await task
    assert log.last["phase"] == "Tallying"


def test_none_takes_a_bound_value_away(log: Log) -> None:
    bind_context(election="fund9")
    bind_context(election=None)
    logger.info("waiting")
    assert "election" not in log.last


@pytest.mark.parametrize("message", ["{", "{}", "{0} {name}", '{"a": {"b": 1}}', "<red>x</red>", "%s %d", "a\nb\r\x00"])
def test_messages_are_never_templates(log: Log, message: str) -> None:
    logger.info(message)
    logger.bind(note=message).info(message)
    logging.getLogger("lib").warning(message)
    assert [record["message"] for record in log.records] == [message] * 3
    assert log.records[1]["note"] == message


@given(st.text(), st.dictionaries(st.text(min_size=1), st.one_of(st.text(), st.floats(), st.integers(), st.binary())))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_record_is_one_line_of_strict_json(log: Log, message: str, bound: dict[str, object]) -> None:
    before = len(log.text)
    logger.bind(**bound).info(message)
    (line, rest) = log.text[before:].split("\n")
    assert rest == ""

    def refuse(constant: str) -> NoReturn:
        raise AssertionError(f"{constant} is no JSON")

    record = json.loads(line, parse_constant=refuse)
    assert set(bound) <= set(record)
    assert set(record) >= {"time", "level", "logger", "message"}


def test_objects_that_cannot_be_shown_break_nothing(log: Log) -> None:
    log.configure()  # pytest's own handler, which raises, goes
    endless: list[object] = []
    endless.append(endless)
    logger.bind(odd=Unshowable(), nested=[Unshowable()], endless=endless, huge=10**5000).info("still here")
    assert log.last["message"] == "still here"
    assert log.last["odd"] == "<Unshowable that cannot be shown>"
    logging.getLogger("lib").warning("%d of %s", "x", Unshowable())
    assert log.last["message"] == "%d of %s (its arguments do not fit: TypeError)"
    logging.getLogger("lib").warning(Unshowable())
    assert "that cannot be shown" in log.last["message"]


def test_an_exception_that_cannot_be_shown_is_logged_nevertheless(log: Log) -> None:
    class BrokenError(Exception):
        __str__ = __repr__ = Unshowable.__str__

    try:
        raise ExceptionGroup("several", [BrokenError(), ValueError("plain")])
    except ExceptionGroup:
        logger.exception("failed")
    assert "BrokenError" in log.last["exception"]
    assert "ValueError: plain" in log.last["exception"]


def test_levels_filter_ours_and_libraries_stay_quiet(log: Log) -> None:
    log.configure("INFO")
    logger.debug("hidden")
    logging.getLogger("botocore.auth").debug("hidden: a signed request")
    logging.getLogger("sqlalchemy.engine").info("hidden: a statement")
    logging.getLogger("uvicorn.error").info("shown")
    logging.getLogger("alembic.runtime.migration").info("shown")
    logging.getLogger("asyncio").error("shown")
    assert [record["message"] for record in log.records] == ["shown"] * 3
    log.configure("TRACE")
    logging.getLogger("botocore.auth").debug("hidden: a signed request")
    assert log.last["message"] == "shown"


def test_libraries_keep_name_level_and_exception(log: Log) -> None:
    try:
        raise OSError("connection lost")
    except OSError:
        logging.getLogger("sqlalchemy.pool").exception("while %s", "connecting")
    assert log.last["logger"] == "sqlalchemy.pool"
    assert log.last["level"] == "ERROR"
    assert log.last["message"] == "while connecting"
    assert log.last["exception"].endswith("OSError: connection lost\n")
    logging.getLogger("lib").log(35, "between two levels")
    assert log.last["level"] == "Level 35"


def test_warnings_are_lines_too(log: Log) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        log.configure()
        warnings.warn("soon gone", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    assert "soon gone" in log.last["message"]
    assert log.last["logger"] == "py.warnings"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.usefixtures("restored_logging")
def test_text_lines_are_for_people() -> None:
    stream = io.StringIO()
    configure_logging("INFO", "text", stream)
    bind_context(phase="Running")
    logger.warning("no peers")
    assert re.fullmatch(r"\S+Z WARNING  no peers  \[phase=Running\]\n", stream.getvalue())


@pytest.mark.usefixtures("restored_logging")
def test_text_cannot_forge_a_line_or_steer_a_terminal() -> None:
    stream = io.StringIO()
    configure_logging("INFO", "text", stream)
    logger.info("first\n2030-01-01T00:00:00.000Z ERROR forged \x1b[2J\r \ud800")
    first, second = stream.getvalue().splitlines()
    assert first.endswith("first")
    assert second == "    2030-01-01T00:00:00.000Z ERROR forged \\x1b[2J\\x0d \\ud800"


@pytest.mark.usefixtures("restored_logging")
def test_colour_is_for_terminals_only() -> None:
    plain, terminal = io.StringIO(), Terminal()
    configure_logging("INFO", "text", plain)
    logger.error("broken")
    configure_logging("INFO", "text", terminal)
    logger.error("broken")
    logger.info("fine")
    assert "\x1b" not in plain.getvalue()
    red, uncoloured = terminal.getvalue().splitlines()
    assert red.startswith("\x1b[31m")
    assert red.endswith("\x1b[0m")
    assert "\x1b" not in uncoloured


@pytest.mark.usefixtures("restored_logging")
def test_a_stream_that_fails_stops_nobody() -> None:
    class Full(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError(28, "No space left on device")

    closed = io.StringIO()
    closed.close()
    for stream in (Full(), closed):
        configure_logging("INFO", "json", stream)
        logger.info("lost")
        logging.getLogger("lib").warning("lost")
