"""Block 0 on this machine: taken from the draft or the database, and never one with another hash."""

import pytest

from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.steps.adopt import adopt_block0
from tests.chain import build
from tests.phases.small_election import ID
from tests.phases.world import World
from tests.support.memory_database import DATABASE_AWAY

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
