"""What tests of phases share: virtual time, a world, and what was logged."""

import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from node_fsm.core.phases import Role
from tests.phases.world import World
from tests.support.virtual_time import VirtualTimeLoop


def pytest_asyncio_loop_factories() -> Mapping[str, type[VirtualTimeLoop]]:
    return {"virtual": VirtualTimeLoop}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Leader 0 with one election, which is due."""
    return World(tmp_path)


@pytest.fixture
def new_world(tmp_path: Path) -> Callable[..., World]:
    """Another kind of world."""
    return lambda *arguments, **options: World(tmp_path, *arguments, **options)


@pytest.fixture
async def published(world: World) -> World:
    """Leader 0 with a block 0 that is published and not yet adopted."""
    await world.publish()
    return world


@pytest.fixture
async def leader1(published: World, tmp_path: Path) -> World:
    """Another leader of that chain, on its own machine."""
    directory = tmp_path / "leader1"
    directory.mkdir()
    world = World(directory, Role.NODE, beside=published)
    await world.look()
    return world


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Every line that is logged, of every level."""
    lines = io.StringIO()
    sink: Any = logger.add(lines, level="TRACE", format="{message}", diagnose=False)
    yield lines
    logger.remove(sink)
