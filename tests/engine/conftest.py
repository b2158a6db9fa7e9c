"""Tests of the engine run in virtual time."""

import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from tests.engine.world import World
from tests.support.virtual_time import VirtualTimeLoop


def pytest_asyncio_loop_factories() -> Mapping[str, type[VirtualTimeLoop]]:
    return {"virtual": VirtualTimeLoop}


@pytest.fixture
def due(tmp_path: Path) -> Callable[..., World]:
    """A world whose election is due at once."""
    return lambda **tasks: World(tmp_path, **tasks)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Every line that is logged, of every level."""
    lines = io.StringIO()
    sink: Any = logger.add(lines, level="TRACE", format="{message}", diagnose=False)
    yield lines
    logger.remove(sink)
