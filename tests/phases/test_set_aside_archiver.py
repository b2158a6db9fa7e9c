"""What had to be set aside is archived while leader 0 waits."""

import asyncio

import pytest

from node_fsm.core.conditions import ConditionType
from node_fsm.core.model import ArchiveKind
from node_fsm.core.view import LocalChain
from node_fsm.steps.archive import ARCHIVED, SET_ASIDE_RETRY_SECONDS, About, SetAsideArchiver
from node_fsm.storage.workspace import ChainDirectory
from states.waiting import Waiting
from tests.phases.small_election import ID
from tests.phases.world import World
from tests.support.fakes import FACT
from tests.support.memory_database import DATABASE_AWAY
from tests.support.memory_store import S3_AWAY


@pytest.fixture
async def world(world: World) -> World:
    """A superseded chain was set aside."""
    await world.end_voting()
    chain = world.chain
    assert world.node.chain is not None
    chain.blocks.write_bytes(world.node.chain.raw)
    About.in_work(world.ctx, ArchiveKind.SUPERSEDED).write(chain)
    world.ctx.workspace.set_aside(LocalChain(ID, world.hash, has_blocks=True), world.clock.now())
    await world.database.withdraw_block0(ID, world.hash, 1, FACT)
    world.row.cancelled = True
    world.store.requests.clear()
    return world


def aside(world: World) -> ChainDirectory:
    (path,) = world.ctx.workspace.set_aside_chains()
    return ChainDirectory(path)


async def test_it_is_archived_recorded_and_kept(world: World) -> None:
    blocks = aside(world).blocks.read_bytes()
    async with world.doing(Waiting()) as failures:
        await world.until(lambda: len(world.database.archives) == 1)
    assert failures == []
    (record,) = world.database.archives
    assert (record.kind, record.block0_hash, record.election_name) == (ArchiveKind.SUPERSEDED, world.hash, "first")
    assert (aside(world).path / ARCHIVED).read_text() == record.manifest
    assert aside(world).blocks.read_bytes() == blocks, "the service never empties it"
    assert world.condition(ConditionType.SET_ASIDE_UNARCHIVED) is None


async def test_it_is_done_once(world: World) -> None:
    for _ in range(2):
        await SetAsideArchiver().archive_all(world.ctx)
    requests = len(world.store.requests)
    await SetAsideArchiver().archive_all(world.ctx)
    assert len(world.store.requests) == requests
    assert len(world.database.archives) == 1


async def test_s3_that_is_away_is_tried_again_after_some_minutes(world: World) -> None:
    world.store.failure = S3_AWAY
    archiver = SetAsideArchiver()
    await archiver.archive_all(world.ctx)
    assert world.condition(ConditionType.SET_ASIDE_UNARCHIVED) == "ArchiveFailed"
    assert aside(world).path.name in world.message(ConditionType.SET_ASIDE_UNARCHIVED)
    assert S3_AWAY.message in world.message(ConditionType.SET_ASIDE_UNARCHIVED)
    requests = len(world.store.requests)
    world.store.failure = None
    await asyncio.sleep(SET_ASIDE_RETRY_SECONDS - 1)
    await archiver.archive_all(world.ctx)
    assert len(world.store.requests) == requests
    await asyncio.sleep(1)
    await archiver.archive_all(world.ctx)
    assert len(world.database.archives) == 1
    assert world.condition(ConditionType.SET_ASIDE_UNARCHIVED) is None


async def test_a_crash_before_it_was_recorded_is_made_up_for(world: World) -> None:
    world.database.failure = DATABASE_AWAY
    await SetAsideArchiver().archive_all(world.ctx)
    made = dict(world.store.objects)
    assert not (aside(world).path / ARCHIVED).exists()
    world.database.failure = None
    await SetAsideArchiver().archive_all(world.ctx)
    assert world.store.objects == made
    assert len(world.database.archives) == 1


async def test_one_that_cannot_be_archived_does_not_hold_up_the_others(world: World) -> None:
    first = aside(world).path
    second = first.with_name("2-12345678-20310101T120000Z")
    second.mkdir()
    for file in first.iterdir():
        if file.is_file():
            (second / file.name).write_bytes(file.read_bytes())
    ChainDirectory(first).blocks.write_bytes(b"\x07 is no block")
    archiver = SetAsideArchiver()
    await archiver.archive_all(world.ctx)
    assert len(world.database.archives) == 1
    assert (second / ARCHIVED).exists()
    message = world.message(ConditionType.SET_ASIDE_UNARCHIVED)
    assert first.name in message
    assert second.name not in message


async def test_a_chain_without_a_note_is_told(world: World) -> None:
    (aside(world).path / "about.json").unlink()
    await SetAsideArchiver().archive_all(world.ctx)
    assert world.database.archives == []
    assert world.condition(ConditionType.SET_ASIDE_UNARCHIVED) == "ArchiveFailed"
    assert "about.json" in world.message(ConditionType.SET_ASIDE_UNARCHIVED)


async def test_what_holds_no_blocks_is_left_alone(world: World) -> None:
    aside(world).blocks.unlink()
    await SetAsideArchiver().archive_all(world.ctx)
    assert world.store.requests == []
    assert world.condition(ConditionType.SET_ASIDE_UNARCHIVED) is None
