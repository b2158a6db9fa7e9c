"""A database restored to a copy of before the results: they are found in the archive, and recorded again."""

import pytest

from node_fsm.core.cluster import ChainCopy
from node_fsm.core.events import Event
from node_fsm.core.model import DisputedTally, PlanResult, StoredArchive, UncountedVote
from states.archiving import Archiving
from states.reset import Reset
from states.running import Running
from states.tallying import Tallying
from tests.phases.small_election import ID
from tests.phases.world import World
from tests.support.memory_store import S3_AWAY

DISPUTE = "1 of 2 leaders have the last counted block"
LOST = UncountedVote("e" * 64, "f" * 64, 5, "it expired", b"\x01")


@pytest.fixture
async def restored(world: World) -> tuple[World, dict[str, tuple[PlanResult, ...]], StoredArchive]:
    """A world that has let go of its chain, what was posted, and the archive that the database has forgotten."""
    await world.end_voting()
    await world.finish(Tallying())
    world.database.disputes[world.hash] = DisputedTally("first", world.hash, DISPUTE)
    await world.database.report_uncounted(ID, "first", world.hash, "leader0", [LOST])
    await world.node.stop()
    await world.finish(Archiving())
    assert (await world.finish(Reset())).event is Event.LOCAL_DATA_RESET
    assert world.ctx.workspace.chains() == ()
    database = world.database
    posted, (archive,) = dict(database.posted), database.archives
    database.snapshots.clear()
    database.disputes.clear()
    database.lost_votes.clear()
    database.posted.clear()
    database.archives.clear()
    database.blocks.clear()
    database.copies[world.hash] = {"leader0": ChainCopy("leader0", 80, lost=False, is_leader=True)}
    return world, posted, archive


async def test_results_and_archive_are_recorded_again(
    restored: tuple[World, dict[str, tuple[PlanResult, ...]], StoredArchive],
) -> None:
    world, posted, archive = restored
    async with world.doing(Running()) as failures:
        await world.until(lambda: bool(world.database.archives))
    assert {failure.reason for failure in failures} <= {"ChainArchived"}
    assert world.database.posted == posted
    assert set(world.database.snapshots[world.hash]) == {plan.plan_id for plan in posted[world.hash]}
    assert world.database.disputes == {world.hash: DisputedTally("first", world.hash, DISPUTE)}
    assert await world.database.uncounted(world.hash) == (LOST,)
    (found,) = world.database.archives
    assert (found.uri, found.run_id, found.manifest) == (archive.uri, archive.run_id, archive.manifest)
    assert await world.database.archived_blocks(world.hash)
    assert not list(world.ctx.workspace.root.glob("node-fsm-verify-*"))


async def test_it_is_looked_for_when_the_node_waits_for_another_that_is_said_to_have_the_chain(
    restored: tuple[World, dict[str, tuple[PlanResult, ...]], StoredArchive],
) -> None:
    """The one that let go of it has not been able to say so to the copy that the database was restored to."""
    world, posted, archive = restored
    world.database.copies[world.hash]["leader1"] = ChainCopy("leader1", 80, lost=False, is_leader=True)
    async with world.doing(Running()) as failures:
        await world.until(lambda: bool(world.database.archives))
    assert {failure.reason for failure in failures} <= {"ChainArchived"}
    assert world.database.posted == posted
    assert [found.uri for found in world.database.archives] == [archive.uri]


async def test_a_chain_that_the_database_never_saw_begin_is_not_begun_anew(
    restored: tuple[World, dict[str, tuple[PlanResult, ...]], StoredArchive],
) -> None:
    """Its votes are in the archive alone, and no other block may be made in the place of theirs."""
    world, posted, archive = restored
    world.database.copies.clear()
    starts = world.node.state.starts
    world.store.failure = S3_AWAY
    async with world.doing(Running()) as failures:
        await world.until(lambda: len(failures) > 2)
        assert {failure.reason for failure in failures} == {"S3Unavailable"}
        world.store.failure = None
        await world.until(lambda: bool(world.database.archives))
    assert world.database.posted == posted
    assert [found.uri for found in world.database.archives] == [archive.uri]
    assert world.node.state.starts == starts


async def test_it_is_looked_for_before_votes_are_counted_again(
    restored: tuple[World, dict[str, tuple[PlanResult, ...]], StoredArchive],
) -> None:
    world, posted, archive = restored
    assert (await world.finish(Tallying())).event is Event.RESULTS_POSTED
    assert world.database.posted == posted
    assert await world.database.uncounted(world.hash) == (LOST,)
    assert [found.run_id for found in world.database.archives] == [archive.run_id]


async def test_votes_are_counted_while_s3_is_away(world: World) -> None:
    await world.end_voting()
    world.store.failure = S3_AWAY
    assert (await world.finish(Tallying())).event is Event.RESULTS_POSTED
    assert world.database.posted.keys() == {world.hash}


@pytest.mark.parametrize("object_", ["archive.tar.zst", "manifest.json"])
async def test_an_archive_that_is_not_whole_is_not(
    restored: tuple[World, dict[str, tuple[PlanResult, ...]], StoredArchive], object_: str
) -> None:
    world, _, archive = restored
    data = world.store.objects[f"{archive.uri}/{object_}"]
    world.store.objects[f"{archive.uri}/{object_}"] = data[:100] + b"x" + data[101:]
    async with world.doing(Running()) as failures:
        await world.until(lambda: len(failures) > 2)
    assert {failure.reason for failure in failures} == {"StorageLost"}
    assert world.database.archives == []
    assert world.database.posted == {}
