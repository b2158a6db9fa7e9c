"""A log that a test can read, and the logging of the process as it was before."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from loguru import logger

from node_fsm.log import LogLevel, bind_context, configure_logging


class Log:
    """What was logged, as JSON lines."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def configure(self, level: LogLevel = "TRACE") -> None:
        configure_logging(level, "json", self.stream)

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def last(self) -> dict[str, Any]:
        return self.records[-1]


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """Put back the handlers and levels of the stdlib's logging, and no sink into loguru's."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logger.remove()
    logging.captureWarnings(capture=False)
    bind_context(hostname=None, role=None, election=None, phase=None)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def log(restored_logging: None) -> Log:
    """A JSON log of every level."""
    log = Log()
    log.configure()
    return log
