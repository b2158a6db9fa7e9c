"""What an election will need of the outside is tried in Waiting: a condition each, and its end when it is mended."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from node_fsm.core.conditions import ConditionType
from node_fsm.core.errors import TemporaryError
from node_fsm.core.phases import Role
from node_fsm.steps import readiness
from states.waiting import Waiting
from tests.phases.small_election import LEADER1
from tests.phases.world import ARCHIVE_URI, KEY_URI, World
from tests.support.memory_store import S3_AWAY, MemoryStore


class Usage(NamedTuple):
    free: int


class CarelessStore(MemoryStore):
    """One that does not know conditional writes, and does not say so."""

    async def write_once(self, uri: str, data: bytes) -> bool:
        self.objects[uri] = data
        return True


async def goes(world: World, condition: ConditionType) -> None:
    await world.until(lambda: world.condition(condition) is None)


@pytest.mark.parametrize("key", [LEADER1.reveal().encode(), b"nonsense", None])
async def test_a_key_that_is_wrong_or_missing_is_said_before_an_election_is_due(
    world: World, key: bytes | None
) -> None:
    good = world.store.objects.pop(KEY_URI)
    if key is not None:
        world.store.objects[KEY_URI] = key
    async with world.doing(Waiting()) as failures:
        await world.until(lambda: world.condition(ConditionType.KEY_UNUSABLE) is not None)
        world.store.objects[KEY_URI] = good
        await goes(world, ConditionType.KEY_UNUSABLE)
    assert failures == []
    assert world.ctx.signing_key is None, "it is fetched for an election"


async def test_a_row_that_is_missing_is_said_at_once_and_its_addition_too(world: World) -> None:
    async with world.doing(Waiting()):
        await world.until(lambda: world.ctx.progressed)
        nodes, world.database.nodes = world.database.nodes, []
        await world.until(lambda: world.condition(ConditionType.KEY_UNUSABLE) == "NodeUnknown", seconds=5)
        world.database.nodes = nodes
        await world.until(lambda: world.condition(ConditionType.KEY_UNUSABLE) is None, seconds=5)


async def test_the_archive_is_probed_by_one_small_object(world: World) -> None:
    async with world.doing(Waiting()):
        await world.until(lambda: f"read {ARCHIVE_URI}/probe" in world.store.requests)
        await world.until(lambda: world.store.requests.count(f"read {ARCHIVE_URI}/probe") == 3, seconds=1000)
        assert world.condition(ConditionType.ARCHIVE_UNUSABLE) is None
    assert [uri for uri in world.store.objects if uri.startswith(ARCHIVE_URI)] == [f"{ARCHIVE_URI}/probe"]
    assert world.store.requests.count(f"write_once {ARCHIVE_URI}/probe") == 4


async def test_a_store_that_is_away_is_said_and_ends_nothing(world: World) -> None:
    world.store.failure = S3_AWAY
    async with world.doing(Waiting()) as failures:
        await world.until(lambda: world.condition(ConditionType.ARCHIVE_UNUSABLE) == "S3Unavailable")
        assert world.condition(ConditionType.KEY_UNUSABLE) == "S3Unavailable"
        world.store.failure = None
        await goes(world, ConditionType.ARCHIVE_UNUSABLE)
    assert failures == []


async def test_a_store_that_writes_over_what_is_there_is_no_archive(world: World) -> None:
    world.ctx.store = CarelessStore(world.store.objects)
    async with world.doing(Waiting()):
        await world.until(lambda: world.condition(ConditionType.ARCHIVE_UNUSABLE) == "S3WritesOver")


async def test_a_port_that_is_taken_is_said(world: World) -> None:
    world.node.failure = TemporaryError("PortBusy", "another process listens on 127.0.0.1:1")
    async with world.doing(Waiting()):
        await world.until(lambda: world.condition(ConditionType.PORT_UNUSABLE) == "PortBusy")
        world.node.failure = None
        await goes(world, ConditionType.PORT_UNUSABLE)


async def test_a_disk_that_is_too_small_for_the_next_election_is_said(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = readiness.LEAST_BYTES

    def usage(_: Any) -> Usage:
        return Usage(free)

    monkeypatch.setattr("shutil.disk_usage", usage)
    assert (await _found(world, voters=0))[ConditionType.DISK_SHORT] is None
    problem = (await _found(world, voters=1_000_000))[ConditionType.DISK_SHORT]
    assert problem is not None
    assert problem[0] == "DiskShort"
    free -= 1
    async with world.doing(Waiting()):
        await world.until(lambda: world.condition(ConditionType.DISK_SHORT) == "DiskShort")
        assert "NODE_FSM_STORAGE_DIR" in world.message(ConditionType.DISK_SHORT)


async def _found(world: World, voters: int) -> dict[ConditionType, tuple[str, str] | None]:
    await world.look()
    return await readiness.findings(world.ctx, voters)


async def test_a_follower_needs_neither_key_nor_archive(new_world: Callable[..., World]) -> None:
    world = new_world(Role.NODE)
    world.database.nodes = [replace(node, leader_id=None) for node in world.database.nodes]
    world.ctx.settings = replace(world.ctx.settings, archive_uri=None)
    world.store.failure = S3_AWAY
    found = await _found(world, voters=0)
    assert found.keys() == readiness.CONDITIONS
    assert not any(found.values())
