"""Tests of the engine run in virtual time."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.engine.world import World
from tests.support.virtual_time import VirtualTimeLoop


def pytest_asyncio_loop_factories() -> Mapping[str, type[VirtualTimeLoop]]:
    return {"virtual": VirtualTimeLoop}


@pytest.fixture
def due(tmp_path: Path) -> Callable[..., World]:
    """A world whose election is due at once."""
    return lambda **tasks: World(tmp_path, **tasks)
