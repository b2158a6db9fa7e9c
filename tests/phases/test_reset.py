"""Reset: what an archive covers is deleted, everything else is set aside, what is in use stays."""

import errno
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from struct import pack

import pytest

from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.core.events import Event
from node_fsm.core.model import ArchiveKind, StoredArchive
from node_fsm.core.phases import Role
from node_fsm.steps.archive import About
from node_fsm.storage.files import make_private, write_private
from node_fsm.storage.workspace import ChainDirectory
from states.reset import Reset
from tests.chain import build
from tests.phases.small_election import ID, TALLYING_END, account, row
from tests.phases.world import World
from tests.support.fakes import FACT, START
from tests.support.main_chain import MainChain
from tests.support.memory_database import DATABASE_AWAY

OLD, GONE = "cd" * 32, "ef" * 32
PLAN_ID = "ab" * 32


def a_chain() -> MainChain:
    """A block with a vote, one without, and another with one."""
    chain = MainChain(build.block([build.initial()]))
    for slot in range(1, 4):
        chain.append((0, slot), [build.vote(PLAN_ID, bytes([slot]) * 32)] if slot != 2 else ())
    return chain


CHAIN = a_chain()
BLOCKS = CHAIN.raw
VOTED = [CHAIN.ids[1], CHAIN.ids[3]]


def make_chain(world: World, election_id: int, block0_hash: str, *, blocks: bool = True) -> ChainDirectory:
    chain = world.ctx.workspace.chain(election_id, block0_hash)
    make_private(chain.path)
    write_private(chain.block0, b"block 0")
    if blocks:
        write_private(chain.blocks, BLOCKS)
        make_private(chain.storage / "volatile")
        chain.mark_held()
    return chain


async def archived(
    world: World, block0_hash: str, kind: ArchiveKind = ArchiveKind.FINAL, blocks: Sequence[str] = VOTED
) -> None:
    """Record an archive of that chain with these blocks in it."""
    made = StoredArchive(9, "old", block0_hash, kind, kind, "ab" * 32, "s3://x", "", 1, "{}", START)
    await world.database.save_archive(made, FACT, blocks)


def chain_of(world: World) -> bytes:
    """The block 0 that stands in the election's row."""
    assert world.row.block0 is not None
    return world.row.block0[1]


def set_aside(world: World) -> list[ChainDirectory]:
    return [ChainDirectory(path) for path in world.ctx.workspace.set_aside_chains()]


def log_a_vote(world: World) -> bytes:
    """Have a chain without votes, whose node has accepted one."""
    chain = make_chain(world, ID, world.hash)
    write_private(chain.blocks, MainChain(chain_of(world)).raw)
    vote = build.vote(world.database.published[world.hash].plans[0].id, account(1))
    at = world.ctx.block0_in_work().dates.vote_start_time.timestamp()
    make_private(chain.fragments)
    write_private(chain.fragments / "2030-01-01_12.log", pack(">Q", int(at)) + vote)
    return vote


@pytest.mark.parametrize("kind", ArchiveKind)
async def test_what_an_archive_covers_is_deleted(world: World, kind: ArchiveKind) -> None:
    make_chain(world, 9, OLD)
    await archived(world, OLD, kind)
    decision = await world.finish(Reset())
    assert decision.event is Event.LOCAL_DATA_RESET
    assert OLD in decision.why
    assert world.ctx.workspace.chains() == ()
    assert set_aside(world) == []


@pytest.mark.parametrize("role", Role)
async def test_an_archive_that_lacks_a_block_with_votes_does_not_cover(
    new_world: Callable[..., World], role: Role
) -> None:
    """It is of the other part of a chain that had split; that it has the same block 0 proves nothing."""
    world = new_world(role)
    make_chain(world, 9, OLD)
    await archived(world, OLD, blocks=[*VOTED[:1], "99" * 32])
    await world.finish(Reset())
    assert [aside.blocks.read_bytes() for aside in set_aside(world)] == [BLOCKS]


async def test_a_vote_that_only_the_nodes_log_has_is_on_record_before_the_chain_is_deleted(leader1: World) -> None:
    """The node was killed with it, and came back when the election had been archived."""
    lost = log_a_vote(leader1)
    await archived(leader1, leader1.hash)
    leader1.clock.advance(seconds=TALLYING_END + 3601)
    await leader1.finish(Reset())
    assert (leader1.ctx.workspace.chains(), set_aside(leader1)) == ((), [])
    (kept,) = await leader1.database.uncounted(leader1.hash)
    assert (kept.raw, kept.weight, kept.why) == (lost, 10, "in no block")


@pytest.mark.parametrize("withdrawn", [False, True])
async def test_with_a_vote_that_only_the_nodes_log_has_it_waits_for_the_archive(
    leader1: World, withdrawn: bool
) -> None:
    """There is nothing yet to tell by whether it is counted; on a withdrawn chain it is void."""
    log_a_vote(leader1)
    if withdrawn:
        await leader1.database.withdraw_block0(ID, leader1.hash, 1, FACT)
    leader1.clock.advance(seconds=TALLYING_END + 3601)
    await leader1.finish(Reset())
    assert leader1.ctx.workspace.chains() == ()
    assert len(set_aside(leader1)) == (not withdrawn)


async def test_archives_cover_a_chain_together(world: World) -> None:
    make_chain(world, 9, OLD)
    await archived(world, OLD, blocks=VOTED[:1])
    await archived(world, OLD, ArchiveKind.DIVERGENT, blocks=VOTED[1:])
    await world.finish(Reset())
    assert (world.ctx.workspace.chains(), set_aside(world)) == ((), [])


async def test_an_archive_of_before_its_blocks_were_recorded_covers_nothing(world: World) -> None:
    make_chain(world, 9, OLD)
    world.database.archives.append(StoredArchive(9, "old", OLD, "r", ArchiveKind.FINAL, "", "", "", 1, "{}", START))
    await world.finish(Reset())
    assert len(set_aside(world)) == 1


async def test_blocks_without_votes_are_nothing_to_keep(world: World) -> None:
    chain = make_chain(world, 9, OLD)
    empty = MainChain(CHAIN.blocks[0])
    empty.append((0, 1))
    chain.blocks.write_bytes(empty.raw)
    await world.finish(Reset())
    assert (world.ctx.workspace.chains(), set_aside(world)) == ((), [])


@pytest.mark.parametrize(("is_held", "kept"), [(True, 1), (False, 0)])
async def test_a_store_without_a_copy_is_kept_if_it_has_blocks(world: World, is_held: bool, kept: int) -> None:
    chain = make_chain(world, 9, OLD)
    chain.blocks.unlink()
    if not is_held:
        chain.held.unlink()
    await archived(world, OLD)
    await world.finish(Reset())
    assert len(set_aside(world)) == kept


async def test_a_copy_that_cannot_be_read_is_kept(world: World) -> None:
    make_chain(world, 9, OLD).blocks.write_bytes(b"\x07 is no block")
    await archived(world, OLD)
    await world.finish(Reset())
    assert len(set_aside(world)) == 1


async def test_what_no_archive_covers_is_set_aside(world: World) -> None:
    make_chain(world, 9, OLD)
    make_chain(world, 9, GONE)
    await archived(world, GONE)
    decision = await world.finish(Reset())
    assert world.ctx.workspace.chains() == ()
    (aside,) = set_aside(world)
    assert aside.path.name == f"9-{OLD[:8]}-20300101T120000Z"
    assert aside.blocks.read_bytes() == BLOCKS
    assert (aside.storage / "volatile").is_dir()
    assert aside.path.name in decision.why
    assert About.read(aside) == About(9, "unknown", OLD, ArchiveKind.SALVAGE, None)


async def test_a_withdrawn_chain_is_noted_as_superseded(published: World) -> None:
    make_chain(published, ID, published.hash)
    await published.database.withdraw_block0(ID, published.hash, 1, FACT)
    published.ctx.work = None  # a later life, which only clears leftovers
    await published.finish(Reset())
    (aside,) = set_aside(published)
    note = About.read(aside)
    assert note is not None
    assert (note.election_name, note.kind) == ("first", ArchiveKind.SUPERSEDED)


async def test_a_note_that_is_there_already_is_kept(world: World) -> None:
    chain = make_chain(world, 9, OLD)
    note = About(9, "its name", OLD, ArchiveKind.SUPERSEDED, "1:a")
    note.write(chain)
    await world.finish(Reset())
    assert About.read(set_aside(world)[0]) == note


async def test_a_chain_on_which_no_node_ran_is_deleted(world: World) -> None:
    make_chain(world, 9, OLD, blocks=False)
    await world.finish(Reset())
    assert world.ctx.workspace.chains() == ()
    assert set_aside(world) == []


async def test_drafts_of_other_elections_are_deleted(world: World) -> None:
    world.ctx.workspace.new_draft(9)
    decision = await world.finish(Reset())
    assert world.ctx.workspace.chains() == ()
    assert "the draft of election 9" in decision.why


async def test_the_current_elections_draft_and_chain_stay(published: World) -> None:
    make_chain(published, 9, OLD)
    await published.finish(Reset())
    assert [chain.election_id for chain in published.ctx.workspace.chains()] == [ID]
    chain = published.ctx.workspace.adopt_draft(ID, published.hash)
    write_private(chain.blocks, b"blocks")
    await published.finish(Reset())
    assert chain.blocks.exists()


async def test_an_earlier_chain_of_the_current_election_goes(published: World) -> None:
    make_chain(published, ID, OLD)
    make_chain(published, ID, published.hash)
    await published.finish(Reset())
    assert [chain.block0_hash for chain in published.ctx.workspace.chains()] == [published.hash]
    assert len(set_aside(published)) == 1


async def test_other_nodes_let_go_of_a_chain_whose_time_has_passed(leader1: World) -> None:
    assert leader1.ctx.policy.role is Role.NODE
    make_chain(leader1, ID, leader1.hash)
    leader1.clock.advance(seconds=TALLYING_END + 3601)
    await leader1.finish(Reset())
    assert leader1.ctx.workspace.chains() == ()
    assert len(set_aside(leader1)) == 1, "leader 0 has not archived it"


async def test_nothing_to_do_is_done(world: World) -> None:
    decision = await world.finish(Reset())
    assert decision.event is Event.LOCAL_DATA_RESET
    assert "nothing" in decision.why


async def test_the_key_is_forgotten(published: World) -> None:
    assert published.ctx.signing_key is not None
    await published.finish(Reset())
    assert published.ctx.signing_key is None


async def test_nothing_is_deleted_while_the_database_is_away(world: World) -> None:
    make_chain(world, 9, OLD)
    world.database.failure = DATABASE_AWAY
    with pytest.raises(TemporaryError, match="DatabaseUnavailable"):
        await world.finish(Reset())
    assert len(world.ctx.workspace.chains()) == 1


async def test_a_crash_half_way_is_made_up_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for election_id, block0_hash in ((7, OLD), (8, GONE), (9, OLD)):
        make_chain(world, election_id, block0_hash)
    await archived(world, GONE)
    remove = world.ctx.workspace.remove

    def fail(local: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(world.ctx.workspace, "remove", fail)
    with pytest.raises(OSError, match="Input/output"):
        await world.finish(Reset())
    monkeypatch.setattr(world.ctx.workspace, "remove", remove)
    await world.finish(Reset())
    assert world.ctx.workspace.chains() == ()
    assert len(set_aside(world)) == 2


async def test_it_works_on_a_full_disk(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with world.ctx.workspace.exclusively():
        make_chain(world, 8, GONE)
        make_chain(world, 9, OLD)
        await archived(world, GONE)

        def refuse(file: Path, data: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device", str(file))

        monkeypatch.setattr("node_fsm.steps.archive.write_private", refuse)
        await world.finish(Reset())
    assert world.ctx.workspace.chains() == ()
    (aside,) = set_aside(world)
    assert aside.blocks.read_bytes() == BLOCKS
    assert About.read(aside) is None


async def test_a_replaced_block_0_makes_room_for_the_new_one(leader1: World) -> None:
    make_chain(leader1, ID, leader1.hash)
    assert leader1.row.block0 is not None
    publication, data = leader1.row.block0
    leader1.row.block0 = (replace(publication, hash=OLD), data)
    await leader1.finish(Reset())
    assert leader1.ctx.workspace.chains() == ()


async def test_a_chain_whose_block0_vanished_from_its_row_stays(published: World) -> None:
    """It was not withdrawn: a node that waits for its row to be mended goes on with what it has."""
    chain = make_chain(published, ID, published.hash)
    published.row.block0 = None
    await published.finish(Reset())
    assert chain.blocks.read_bytes() == BLOCKS
    assert set_aside(published) == []


async def test_the_draft_of_an_election_that_cannot_be_built_is_cleared_for_the_next(world: World) -> None:
    """Waiting takes it for a leftover then; if Reset did not, the two would follow each other without end."""
    await world.begin()
    world.ctx.workspace.new_draft(ID)
    world.database.rows[2] = row(2, "second", later=3600)
    await world.look()
    overview = world.ctx.known_overview()
    election = overview.election(ID)
    assert election
    world.ctx.remember(election, overview, PermanentError("Block0TooLarge", "it is too large"))
    await world.finish(Reset())
    assert world.ctx.workspace.chains() == ()
