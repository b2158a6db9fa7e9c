"""Block 0 on this machine: taken from the draft or the database, and never one with another hash."""

import asyncio
import threading
from pathlib import Path

import pytest

from node_fsm.chain.fragments import Fragment, FragmentKind
from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.steps.adopt import adopt_block0, open_copy
from node_fsm.storage.block_copy import BlockCopy
from tests.chain import build
from tests.phases.small_election import ID
from tests.phases.world import World
from tests.support.memory_database import DATABASE_AWAY
from tests.support.polling import HANGING

OTHER_BLOCK0 = build.block([build.initial()])


def put_into_database(world: World, data: bytes) -> None:
    assert world.row.block0 is not None
    world.row.block0 = (world.row.block0[0], data)


def published_bytes(world: World) -> bytes:
    assert world.row.block0 is not None
    return world.row.block0[1]


async def test_leader_0_takes_its_own_draft(published: World) -> None:
    chain, head = await adopt_block0(published.ctx)
    assert chain == published.chain
    assert head.hash == published.hash
    assert chain.block0.read_bytes() == published_bytes(published)
    assert chain.genesis.exists(), "the draft's other files come with it"
    assert not published.ctx.workspace.draft(ID).path.exists()
    assert published.database.calls["download_block0"] == 0


async def test_it_is_taken_from_the_database_where_there_is_no_draft(published: World) -> None:
    draft = published.ctx.workspace.draft(ID).path
    draft.rename(draft.with_name("elsewhere"))
    chain, head = await adopt_block0(published.ctx)
    assert chain.block0.read_bytes() == published_bytes(published)
    assert head.hash == published.hash
    assert (published.chain.path.stat().st_mode & 0o777) == 0o700


async def test_a_draft_of_something_else_is_not_taken(published: World) -> None:
    published.ctx.workspace.draft(ID).block0.write_bytes(OTHER_BLOCK0)
    chain, head = await adopt_block0(published.ctx)
    assert head.hash == published.hash
    assert published.database.calls["download_block0"] == 1
    assert not chain.genesis.exists()


async def test_what_is_here_is_not_fetched_again(published: World) -> None:
    await adopt_block0(published.ctx)
    published.database.failure = DATABASE_AWAY
    _, head = await adopt_block0(published.ctx)
    assert head.hash == published.hash


@pytest.mark.parametrize("damage", [b"", b"\0noise", OTHER_BLOCK0, None])
async def test_a_wrong_file_on_this_machine_is_replaced(published: World, damage: bytes | None) -> None:
    chain, _ = await adopt_block0(published.ctx)
    good = chain.block0.read_bytes()
    chain.block0.write_bytes(good[:-1] if damage is None else damage)
    _, head = await adopt_block0(published.ctx)
    assert head.hash == published.hash
    assert chain.block0.read_bytes() == good


@pytest.mark.parametrize("damage", [b"", b"\0noise", OTHER_BLOCK0, None])
async def test_a_corrupt_block_0_in_the_database_is_not_joined(published: World, damage: bytes | None) -> None:
    draft = published.ctx.workspace.draft(ID).path
    draft.rename(draft.with_name("elsewhere"))
    good = published_bytes(published)
    put_into_database(published, good[:-1] if damage is None else damage)
    with pytest.raises(PermanentError) as refusal:
        await adopt_block0(published.ctx)
    assert refusal.value.reason == "Block0Corrupt"
    assert "election.extras.block0 of election 1" in refusal.value.message
    assert "node-fsm election cancel" in refusal.value.message
    put_into_database(published, good)  # mended
    _, head = await adopt_block0(published.ctx)
    assert head.hash == published.hash


async def test_the_database_is_waited_for_when_it_is_needed(published: World) -> None:
    draft = published.ctx.workspace.draft(ID).path
    draft.rename(draft.with_name("elsewhere"))
    published.database.failure = DATABASE_AWAY
    with pytest.raises(TemporaryError, match="DatabaseUnavailable"):
        await adopt_block0(published.ctx)


async def test_another_node_gets_the_same_chain(published: World, leader1: World) -> None:
    chain, head = await adopt_block0(leader1.ctx)
    assert chain.path != published.chain.path
    assert chain.block0.read_bytes() == published_bytes(published)
    assert head.leader_ids == tuple(node.leader_id for node in published.database.nodes[:2])


async def test_nothing_of_block_0_is_read_but_its_configuration_and_its_hash(
    published: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leader 0 has read it fragment by fragment before it was published; that takes long."""
    fragments = []
    from_bytes = Fragment.from_bytes

    def count(raw: bytes, offset: int = 0) -> Fragment:
        fragments.append(raw)
        return from_bytes(raw, offset)

    monkeypatch.setattr(Fragment, "from_bytes", count)
    for _ in range(2):  # by a new service, and by one that is started again
        fragments.clear()
        chain, _ = await adopt_block0(published.ctx)
        await open_copy(chain)
        assert {FragmentKind(raw[5]) for raw in fragments} == {FragmentKind.INITIAL}
    assert chain.blocks.read_bytes() == chain.block0.read_bytes()


async def test_a_copy_that_is_being_opened_is_not_left_to_a_thread(
    published: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may cut the file, into which who comes next would write."""
    chain, _ = await adopt_block0(published.ctx)
    begun, go_on = threading.Event(), threading.Event()
    opened = BlockCopy.open

    def slowly(file: Path, block0: Path) -> BlockCopy:
        begun.set()
        assert go_on.wait(HANGING)
        return opened(file, block0)

    monkeypatch.setattr(BlockCopy, "open", slowly)
    opening = asyncio.create_task(open_copy(chain))
    while not begun.is_set():
        await asyncio.sleep(0)
    opening.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not opening.done()
    go_on.set()
    await asyncio.wait({opening})
    assert opening.cancelled()
    assert chain.blocks.exists()
