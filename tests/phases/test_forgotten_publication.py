"""A database restored to a copy of before the publication, and leader 0 started anew: no chain is begun anew."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from errno import EMFILE
from pathlib import Path

import pytest

from node_fsm.core.errors import PermanentError, ServiceError
from node_fsm.core.events import Event
from node_fsm.core.model import ArchiveKind
from node_fsm.core.phases import Phase
from node_fsm.core.view import LocalChain, Work
from node_fsm.steps.put_back import keep_publication
from node_fsm.storage.workspace import Workspace
from states.fetching_key import FetchingKey
from states.reset import Reset
from tests.phases.life import Cluster
from tests.phases.small_election import ID, TALLYING_END, VOTING_END, VOTING_START, edited, row
from tests.phases.test_every_crash import assert_the_end
from tests.phases.world import World

SEEN_SECONDS = 5
"""After the votes are cast they are in blocks, which the service has copied."""


@asynccontextmanager
async def alive(cluster: Cluster) -> AsyncIterator[None]:
    """A life of the service, which is killed at the end of the block."""
    life = asyncio.create_task(cluster.live())
    try:
        yield
    finally:
        life.cancel()
        await asyncio.wait({life})


async def killed_after_voting_began(cluster: Cluster) -> None:
    """A life of the service that ends when all votes are in blocks."""
    async with alive(cluster):
        while len(cluster.node.posted) < 2 or cluster.world.ctx.phase is not Phase.RUNNING:
            await asyncio.sleep(0.5)
        await asyncio.sleep(SEEN_SECONDS)


@pytest.mark.parametrize(
    "seconds", [0, VOTING_END - VOTING_START, TALLYING_END, 2 * 3600], ids=["voting", "tallying", "closed", "long ago"]
)
async def test_the_chain_is_counted_whatever_time_it_is(tmp_path: Path, seconds: float) -> None:
    cluster = Cluster(tmp_path)
    await killed_after_voting_began(cluster)
    cluster.database.forget(ID)
    cluster.world.clock.advance(seconds=seconds)
    await cluster.live()
    assert_the_end(cluster, on_chain=seconds < TALLYING_END - VOTING_START)
    facts = [entry.event for entry in cluster.database.journalled if entry.source == entry.target]
    assert "block0_restored" in facts
    assert "election_missed" not in facts


async def test_a_row_that_was_edited_meanwhile_gets_the_chain_back_that_people_voted_on(tmp_path: Path) -> None:
    """Of the row as it is now another block 0 would be made, on which none of them has voted."""
    cluster = Cluster(tmp_path)
    await killed_after_voting_began(cluster)
    (hash_,) = cluster.database.published
    cluster.database.forget(ID)
    cluster.world.row.edit(objectives=edited(cluster.world.row.spec), fingerprint="1:b")
    await cluster.live()
    assert list(cluster.database.published) == [hash_]
    assert cluster.database.published[hash_].fingerprint == "1:a"
    assert [archive.kind for archive in cluster.database.archives] == [ArchiveKind.FINAL]


def unreadable(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, phase: Phase, times: int) -> None:
    """Have the directory not be read in so many looks of *phase*."""
    original, left = Workspace.chains, [None] * times

    def chains(workspace: Workspace) -> tuple[LocalChain, ...]:
        if left and cluster.world.ctx.phase is phase:
            left.pop()
            raise OSError(EMFILE, "Too many open files")
        return original(workspace)

    monkeypatch.setattr(Workspace, "chains", chains)


@pytest.mark.parametrize(("phase", "times"), [(Phase.WAITING, 3), (Phase.FETCHING_KEY, 1)])
@pytest.mark.parametrize("is_empty", [False, True])
async def test_no_other_chain_is_begun_while_the_disk_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: Phase, times: int, is_empty: bool
) -> None:
    """Nor is a row that could not be built taken for the chain's that is here."""
    cluster = Cluster(tmp_path)
    await killed_after_voting_began(cluster)
    (hash_,) = cluster.database.published
    cluster.database.forget(ID)
    objectives = () if is_empty else edited(cluster.world.row.spec)
    cluster.world.row.edit(objectives=objectives, fingerprint="1:b")
    cluster.database.rows[2] = row(2, "second", later=3600)
    unreadable(cluster, monkeypatch, phase, times)
    async with alive(cluster):
        while not cluster.database.archives:
            await asyncio.sleep(1)
    assert [archive.block0_hash for archive in cluster.database.archives] == [hash_]
    assert list(cluster.database.published) == [hash_]


async def lived(cluster: Cluster, seconds: float) -> set[str]:
    """A life of so many seconds; the types of the conditions that were told of."""
    told = set[str]()
    async with alive(cluster):
        for _ in range(int(seconds)):
            await asyncio.sleep(1)
            told |= {held.type for held in cluster.world.ctx.conditions}
    return told


@pytest.mark.parametrize("is_over", [False, True])
async def test_beside_a_chain_whose_publication_was_not_kept_no_other_is_begun(tmp_path: Path, is_over: bool) -> None:
    cluster = Cluster(tmp_path)
    await killed_after_voting_began(cluster)
    (hash_,) = cluster.database.published
    cluster.world.ctx.workspace.chain(ID, hash_).publication.unlink()
    cluster.database.forget(ID)
    cluster.world.row.edit(objectives=edited(cluster.world.row.spec), fingerprint="1:b")
    cluster.world.clock.advance(seconds=30 * is_over)
    told = await lived(cluster, 10)
    assert cluster.database.published == {}
    assert ("election_missed" if is_over else "work_failing") in told
    assert cluster.world.ctx.workspace.chain(ID, hash_).has_blocks


def restore_copy_of_between(cluster: Cluster) -> str:
    """Have the database as it was before an edit in hot-reload mode; the block 0 that was published then."""
    (hash_,), earlier = cluster.database.published, "cd" * 32
    publication, specified = cluster.database.published[hash_], cluster.database.specified[hash_]
    assert cluster.world.row.block0
    ref, data = cluster.world.row.block0
    cluster.database.forget(ID)
    cluster.database.published[earlier] = replace(publication, hash=earlier)
    cluster.database.specified[earlier] = specified
    cluster.world.row.block0 = replace(ref, hash=earlier), data
    return hash_


async def test_of_two_published_chains_a_person_chooses(tmp_path: Path) -> None:
    """Another was published in the place of the first, and people have voted on that."""
    cluster = Cluster(tmp_path)
    await killed_after_voting_began(cluster)
    hash_ = restore_copy_of_between(cluster)
    assert "block0_conflict" in await lived(cluster, 30)
    assert cluster.world.ctx.phase is Phase.WAITING, "neither is begun"
    assert cluster.world.ctx.workspace.chain(ID, hash_).has_blocks
    cluster.database.forget(ID)
    await cluster.live()
    assert_the_end(cluster)


async def test_two_published_chains_do_not_hold_up_the_next_election(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    await killed_after_voting_began(cluster)
    restore_copy_of_between(cluster)
    cluster.database.rows[2] = row(2, "second", later=600)
    assert "block0_conflict" in await lived(cluster, 900)
    assert cluster.database.rows[2].block0


async def test_an_election_cancelled_with_two_published_chains_is_over(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    await killed_after_voting_began(cluster)
    hash_ = restore_copy_of_between(cluster)
    cluster.world.row.cancelled = True
    assert "block0_conflict" not in await lived(cluster, 120)
    assert cluster.world.row.block0 is None
    archived = {archive.block0_hash: archive.kind for archive in cluster.database.archives}
    assert archived[hash_] is ArchiveKind.SALVAGE


async def test_another_election_that_has_the_id_now_is_not_given_the_chain(tmp_path: Path) -> None:
    """A database of before the import gives ids again."""
    cluster = Cluster(tmp_path)
    await killed_after_voting_began(cluster)
    cluster.database.forget(ID)
    cluster.database.rows[ID] = row(ID, "another", later=7200)
    await lived(cluster, 60)
    assert cluster.database.published == {}


async def test_whatever_keeps_it_from_being_put_back_does_not_hold_up_the_next_election(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(tmp_path)
    await killed_after_voting_began(cluster)
    cluster.database.forget(ID)
    cluster.database.rows[2] = row(2, "second", later=600)

    async def refuse(*_: object) -> None:
        raise PermanentError("DatabaseError", "duplicate key value (SQLSTATE 23505)")

    monkeypatch.setattr(cluster.database, "restore_block0", refuse)
    await lived(cluster, 900)
    assert cluster.database.rows[2].block0


@pytest.mark.parametrize("fingerprint", [None, 7, "", "x:y"])
async def test_a_fingerprint_that_is_none_is_told(forgotten: World, fingerprint: object) -> None:
    kept = json.loads(forgotten.chain.publication.read_bytes())
    forgotten.chain.publication.write_text(json.dumps(kept | {"fingerprint": fingerprint}))
    await begun_anew(forgotten)
    assert (await refused(forgotten)).reason == "PublicationLost"


@pytest.fixture
async def forgotten(world: World) -> World:
    """Leader 0 whose chain runs, and which begins anew beside a database that knows nothing of it."""
    chain = await world.run_chain()
    await world.look()
    await keep_publication(world.ctx, chain)
    world.ctx.signing_key = None
    return world


async def begun_anew(world: World) -> None:
    world.database.forget(ID)
    await world.begin()
    assert world.ctx.work
    assert world.ctx.work.block0 is None


async def refused(world: World) -> ServiceError:
    with pytest.raises(ServiceError) as refusal:
        await world.finish(FetchingKey())
    return refusal.value


async def test_what_was_published_is_put_back_as_it_was(forgotten: World) -> None:
    before, published = forgotten.ctx.block0_in_work(), forgotten.database.published[forgotten.hash]
    await begun_anew(forgotten)
    decision = await forgotten.finish(FetchingKey())
    assert decision.event is Event.BLOCK0_FOUND
    assert forgotten.ctx.block0_in_work() == before
    assert forgotten.row.block0 is not None
    assert forgotten.row.block0[0].dates == published.dates
    assert forgotten.database.published[before.hash].plans == published.plans


def lose_publication(world: World) -> None:
    world.chain.publication.write_text("{}")


def damage_block0(world: World) -> None:
    world.chain.block0.write_bytes(world.chain.block0.read_bytes()[:-1])


def lose_block0(world: World) -> None:
    world.chain.block0.unlink()


def exchange_block0(world: World) -> None:
    other = world.chain.path.with_name("0a" * 32)
    world.chain.path.rename(other)


@pytest.mark.parametrize("damage", [lose_publication, damage_block0, lose_block0, exchange_block0])
async def test_what_cannot_be_put_back_is_told_and_does_not_hold_up_the_next_election(
    forgotten: World, damage: Callable[[World], None]
) -> None:
    damage(forgotten)
    await begun_anew(forgotten)
    failure = await refused(forgotten)
    assert isinstance(failure, PermanentError)
    assert failure.reason == "PublicationLost"
    assert str(forgotten.ctx.workspace.root) in failure.message
    assert "backup" in failure.message
    assert forgotten.row.block0 is None
    forgotten.database.rows[2] = row(2, "second", later=3600)
    await forgotten.begin()
    second = forgotten.ctx.known_overview().election(2)
    assert second
    assert forgotten.ctx.work == Work.on(second)


async def test_it_is_not_put_back_beside_another_chain_of_the_election(forgotten: World) -> None:
    publication = forgotten.database.published[forgotten.hash]
    await begun_anew(forgotten)
    forgotten.database.published["0a" * 32] = replace(publication, hash="0a" * 32)
    failure = await refused(forgotten)
    assert failure.reason == "PublicationRefused"
    assert forgotten.row.block0 is None


async def test_nothing_is_put_back_without_the_right_to_publish(forgotten: World) -> None:
    await begun_anew(forgotten)
    forgotten.ctx.lease = None
    assert (await refused(forgotten)).reason == "LeaseNotHeld"
    assert ID not in forgotten.ctx.unbuildable(forgotten.ctx.known_overview()), "that is no fault of the election"


async def test_reset_leaves_it_where_it_is(forgotten: World) -> None:
    chain = forgotten.chain
    forgotten.database.forget(ID)
    forgotten.clock.advance(seconds=4 * 3600)
    await forgotten.finish(Reset())
    assert chain.blocks.exists() or chain.storage.exists()
    assert forgotten.ctx.workspace.set_aside_chains() == ()
