"""What had to be set aside is archived while the service waits, and deleted once archives have all of its votes."""

import asyncio
import json
import shutil
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from node_fsm.chain.cast import cast_key
from node_fsm.chain.certificates import decode_vote_cast
from node_fsm.chain.fragments import Fragment
from node_fsm.core.conditions import ConditionType
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import ArchiveKind, StoredArchive, UncountedVote
from node_fsm.core.phases import Role
from node_fsm.core.view import LocalChain
from node_fsm.steps.archive import About
from node_fsm.steps.set_aside import PATIENCE_SECONDS, RETRY_SECONDS, SetAside
from node_fsm.storage.block_copy import blocks_with_fragments
from node_fsm.storage.files import make_private
from node_fsm.storage.workspace import ChainDirectory
from states.reset import Reset
from states.waiting import Waiting
from tests.chain import build
from tests.phases.small_election import ID, account
from tests.phases.world import ARCHIVE_URI, World
from tests.support.fakes import FACT, START
from tests.support.genesis_encoder import fragment_id
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


@pytest.fixture
async def follower(world: World, tmp_path: Path) -> World:
    """Another node, which set the same chain aside, and waits."""
    directory = tmp_path / "leader1"
    directory.mkdir()
    node = World(directory, Role.NODE, beside=world)
    make_private(node.chain.path)
    node.chain.block0.write_bytes(aside(world).block0.read_bytes())
    node.chain.blocks.write_bytes(aside(world).blocks.read_bytes())
    await node.look()
    node.ctx.work = None
    await node.finish(Reset())
    return node


def plan_of(world: World) -> str:
    """The plan of the one chain there is."""
    return next(iter(world.database.published.values())).plans[0].id


def asides(world: World) -> list[ChainDirectory]:
    return [ChainDirectory(path) for path in world.ctx.workspace.set_aside_chains()]


def aside(world: World) -> ChainDirectory:
    (chain,) = asides(world)
    return chain


async def leader0_archives(world: World, kind: ArchiveKind, blocks: Sequence[str], votes: Sequence[bytes] = ()) -> None:
    block0_hash = next(iter(world.database.published))
    made = StoredArchive(ID, "first", block0_hash, "run", kind, "ab" * 32, "s3://x", "", 1, "{}", START)
    await world.database.save_archive(made, FACT, blocks, votes)


async def test_it_is_archived_recorded_and_deleted(world: World) -> None:
    voted = blocks_with_fragments(aside(world).blocks)
    async with world.doing(Waiting()) as failures:
        await world.until(lambda: not asides(world))
    assert failures == []
    (record,) = world.database.archives
    assert (record.kind, record.block0_hash, record.election_name) == (ArchiveKind.SUPERSEDED, world.hash, "first")
    assert voted
    assert await world.database.archived_blocks(world.hash) == set(voted)
    assert world.condition(ConditionType.SET_ASIDE_UNARCHIVED) is None


async def test_s3_that_is_away_is_tried_again_after_some_minutes(world: World) -> None:
    world.store.failure = S3_AWAY
    set_aside = SetAside()
    await set_aside.clear(world.ctx)
    assert world.condition(ConditionType.SET_ASIDE_UNARCHIVED) == "ArchiveFailed"
    assert aside(world).path.name in world.message(ConditionType.SET_ASIDE_UNARCHIVED)
    assert S3_AWAY.message in world.message(ConditionType.SET_ASIDE_UNARCHIVED)
    requests = len(world.store.requests)
    world.store.failure = None
    await asyncio.sleep(RETRY_SECONDS - 1)
    await set_aside.clear(world.ctx)
    assert len(world.store.requests) == requests
    assert world.condition(ConditionType.SET_ASIDE_UNARCHIVED) == "ArchiveFailed"
    await asyncio.sleep(1)
    await set_aside.clear(world.ctx)
    assert len(world.database.archives) == 1
    assert asides(world) == []
    assert world.condition(ConditionType.SET_ASIDE_UNARCHIVED) is None


async def test_a_crash_before_it_was_recorded_is_made_up_for(world: World) -> None:
    world.database.refused["save_archive"] = deque([DATABASE_AWAY])
    await SetAside().clear(world.ctx)
    made = dict(world.store.objects)
    assert aside(world).blocks.exists()
    await SetAside().clear(world.ctx)
    assert world.store.objects == made
    assert len(world.database.archives) == 1
    assert asides(world) == []


async def test_one_that_cannot_be_archived_does_not_hold_up_the_others(world: World) -> None:
    first = aside(world).path
    second = first.with_name("2-12345678-20310101T120000Z")
    second.mkdir()
    for file in first.iterdir():
        if file.is_file():
            (second / file.name).write_bytes(file.read_bytes())
    ChainDirectory(first).blocks.write_bytes(b"\x07 is no block")
    await SetAside().clear(world.ctx)
    assert len(world.database.archives) == 1
    assert aside(world).path == first
    message = world.message(ConditionType.SET_ASIDE_UNARCHIVED)
    assert first.name in message
    assert second.name not in message


async def test_a_chain_without_a_note_is_told(world: World) -> None:
    (aside(world).path / "about.json").unlink()
    await SetAside().clear(world.ctx)
    assert world.database.archives == []
    assert world.condition(ConditionType.SET_ASIDE_UNARCHIVED) == "ArchiveFailed"
    assert "about.json" in world.message(ConditionType.SET_ASIDE_UNARCHIVED)


async def test_what_is_in_the_nodes_store_alone_is_told(world: World) -> None:
    chain = aside(world)
    chain.blocks.unlink()
    make_private(chain.storage)
    chain.mark_held()
    await SetAside().clear(world.ctx)
    assert world.store.requests == []
    assert "node's store" in world.message(ConditionType.SET_ASIDE_UNARCHIVED)


async def test_what_another_archive_has_already_is_deleted_without_one_of_its_own(world: World) -> None:
    await leader0_archives(world, ArchiveKind.FINAL, blocks_with_fragments(aside(world).blocks))
    await SetAside().clear(world.ctx)
    assert asides(world) == []
    assert world.store.requests == []


async def test_a_node_keeps_a_superseded_chain_until_leader_0_has_archived_it(world: World, follower: World) -> None:
    async with follower.doing(Waiting()) as failures:
        await asyncio.sleep(60)
        assert len(asides(follower)) == 1
        assert follower.condition(ConditionType.SET_ASIDE_UNARCHIVED) is None, "it takes leader 0 a moment"
        await SetAside().clear(world.ctx)
        await follower.until(lambda: not asides(follower))
    assert failures == []
    assert not [uri for uri in follower.store.objects if "divergent" in uri], "it had nothing to archive"


@pytest.mark.parametrize("kind", [ArchiveKind.FINAL, ArchiveKind.SUPERSEDED, ArchiveKind.SALVAGE])
@pytest.mark.parametrize("is_logged", [False, True])
async def test_a_chain_without_votes_in_blocks_is_archived_if_others_wait_for_that_or_its_node_has_accepted_some(
    world: World, kind: ArchiveKind, is_logged: bool
) -> None:
    chain = aside(world)
    chain.blocks.write_bytes(chain.block0.read_bytes())
    assert list(chain.fragments.iterdir())
    if not is_logged:
        shutil.rmtree(chain.fragments)
    about = About.read(chain)
    assert about
    replace(about, kind=kind).write(chain)
    await SetAside().clear(world.ctx)
    assert asides(world) == []
    is_archived = is_logged or kind is not ArchiveKind.SALVAGE
    assert [made.kind for made in world.database.archives] == [kind] * is_archived


async def test_leader_0_that_was_killed_before_it_archived_a_withdrawn_chain_does_so_later(
    new_world: Callable[..., World],
) -> None:
    world = new_world()
    chain = await world.run_chain()
    chain.blocks.write_bytes(chain.block0.read_bytes())
    await world.database.withdraw_block0(ID, world.hash, 1, FACT)
    await world.begin()
    await world.finish(Reset())
    await SetAside().clear(world.ctx)
    assert [made.kind for made in world.database.archives] == [ArchiveKind.SUPERSEDED]
    assert asides(world) == []


@pytest.mark.parametrize("kind", [ArchiveKind.SUPERSEDED, ArchiveKind.SALVAGE])
async def test_of_a_withdrawn_chain_without_votes_no_archive_is_awaited(follower: World, kind: ArchiveKind) -> None:
    """Leader 0 deletes such a chain when it was killed before it archived it."""
    chain = aside(follower)
    chain.blocks.write_bytes(chain.block0.read_bytes())
    about = About.read(chain)
    assert about
    replace(about, kind=kind).write(chain)
    await SetAside().clear(follower.ctx)
    assert len(asides(follower)) == (kind is ArchiveKind.SALVAGE)
    assert follower.database.archives == []


async def test_a_withdrawn_chain_with_votes_is_archived_by_its_node_when_leader_0_does_not(follower: World) -> None:
    """Leader 0 may have done so, and a restored database have forgotten it."""
    set_aside, voted = SetAside(), set(blocks_with_fragments(aside(follower).blocks))
    await set_aside.clear(follower.ctx)
    await asyncio.sleep(PATIENCE_SECONDS)
    await set_aside.clear(follower.ctx)
    assert asides(follower) == []
    assert [made.kind for made in follower.database.archives] == [ArchiveKind.DIVERGENT]
    block0_hash = next(iter(follower.database.published))
    assert await follower.database.archived_blocks(block0_hash) >= voted


async def test_an_archive_that_does_not_come_is_told(follower: World) -> None:
    about, set_aside = About.read(aside(follower)), SetAside()
    assert about
    replace(about, kind=ArchiveKind.SALVAGE).write(aside(follower))
    await set_aside.clear(follower.ctx)
    await asyncio.sleep(PATIENCE_SECONDS)
    await set_aside.clear(follower.ctx)
    assert aside(follower).path.name in follower.message(ConditionType.SET_ASIDE_UNARCHIVED)
    await leader0_archives(follower, ArchiveKind.SUPERSEDED, blocks_with_fragments(aside(follower).blocks))
    await set_aside.clear(follower.ctx)
    assert asides(follower) == []
    assert follower.condition(ConditionType.SET_ASIDE_UNARCHIVED) is None


@pytest.mark.parametrize("kind", [ArchiveKind.FINAL, ArchiveKind.SUPERSEDED])
async def test_a_node_archives_what_leader_0s_archive_lacks(follower: World, kind: ArchiveKind) -> None:
    """Two parts of a split chain: leader 0 archived its own, and another node has votes that it does not."""
    voted = set(blocks_with_fragments(aside(follower).blocks))
    block0_hash = next(iter(follower.database.published))
    await leader0_archives(follower, kind, ["99" * 32])
    await SetAside().clear(follower.ctx)
    assert asides(follower) == []
    divergent = follower.database.archives[-1]
    assert divergent.kind is ArchiveKind.DIVERGENT
    assert divergent.uri.startswith(f"{ARCHIVE_URI}/{ID}-first/{block0_hash}/divergent-")
    assert f"{follower.ctx.settings.hostname} had this part of the chain" in divergent.manifest
    assert await follower.database.archived_blocks(block0_hash) >= voted
    assert (await follower.database.archive(block0_hash)) != divergent, "it closes nothing"


@pytest.mark.parametrize("kind", [ArchiveKind.SUPERSEDED, ArchiveKind.SALVAGE])
async def test_of_what_leader_0_let_go_of_uncounted_a_node_is_content_with_what_it_kept(
    follower: World, kind: ArchiveKind
) -> None:
    """Also when it knows the chain as withdrawn: that has all its votes."""
    about = About.read(aside(follower))
    assert about
    replace(about, kind=kind).write(aside(follower))
    voted = blocks_with_fragments(aside(follower).blocks)
    await leader0_archives(follower, ArchiveKind.SALVAGE, voted)
    await SetAside().clear(follower.ctx)
    assert asides(follower) == []
    assert len(follower.database.archives) == 1


async def test_the_votes_that_leader_0s_archive_lacks_are_on_record(follower: World) -> None:
    """Of the two votes the counted chain has one, by another choice; what was said of it before is forgotten."""
    one, other = (build.vote(plan_of(follower), account(voter), choice=voter, expiry=(9, 9)) for voter in range(2))
    block0_hash = next(iter(follower.database.published))
    known = UncountedVote(fragment_id(one), account(0).hex(), 1, "in no block", one)
    await follower.database.report_uncounted(ID, "first", block0_hash, "leader2", [known])
    counted = cast_key(decode_vote_cast(Fragment.from_bytes(build.vote(plan_of(follower), account(0), choice=2))))
    assert counted
    await leader0_archives(follower, ArchiveKind.FINAL, ["99" * 32], [counted])
    await SetAside().clear(follower.ctx)
    (lost,) = await follower.database.uncounted(block0_hash)
    assert (lost.raw, lost.weight) == (other, 10)
    assert lost.why == "in a block of leader1's chain, which was not counted"
    divergent = json.loads(follower.database.archives[-1].manifest)
    assert divergent["kind"] == "divergent"
    assert any(note.startswith("1 votes of weight 10,") for note in divergent["notes"])
    assert "record/uncounted-votes.json" in [file["name"] for file in divergent["files"]]


async def test_a_node_that_cannot_archive_has_said_which_votes_are_lost(follower: World) -> None:
    await leader0_archives(follower, ArchiveKind.FINAL, ["99" * 32])
    follower.ctx.settings = replace(follower.ctx.settings, archive_uri=None)
    await SetAside().clear(follower.ctx)
    assert len(await follower.database.uncounted(next(iter(follower.database.published)))) == 2


async def test_a_node_that_cannot_archive_keeps_its_chain_and_says_so(follower: World) -> None:
    await leader0_archives(follower, ArchiveKind.FINAL, ["99" * 32])
    follower.store.failure = PermanentError("S3AccessDenied", "no right to put_object")
    await SetAside().clear(follower.ctx)
    assert "no right to put_object" in follower.message(ConditionType.SET_ASIDE_UNARCHIVED)
    follower.ctx.settings = replace(follower.ctx.settings, archive_uri=None)
    await SetAside().clear(follower.ctx)
    message = follower.message(ConditionType.SET_ASIDE_UNARCHIVED)
    assert "NODE_FSM_ARCHIVE_S3_URI" in message
    assert aside(follower).path.name in message
    assert len(follower.database.archives) == 1
