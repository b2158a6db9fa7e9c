"""What every database must do, the real one and the one of the phase tests: publishing, recording, the lease."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from node_fsm.core.cluster import Lease
from node_fsm.core.errors import PermanentError
from node_fsm.core.events import Fact
from node_fsm.core.model import ArchiveKind, Publication, StoredArchive
from node_fsm.ports import Database
from tests.database.stands import Stand
from tests.database.world import START, prepare, publish, results_of
from tests.support.fakes import FACT


async def standing(stand: Stand) -> str | None:
    """The hash of the block 0 in the one election's row."""
    (election,) = (await stand.database.overview([])).elections
    return election.block0.hash if election.block0 else None


async def refusal(database: Database, publication: Publication, block0: Path) -> str:
    with pytest.raises(PermanentError) as caught:
        await database.publish_block0(publication, block0, FACT)
    assert caught.value.reason == "PublicationRefused"
    return caught.value.message


async def test_what_is_published_is_read_back(stand: Stand, tmp_path: Path) -> None:
    election = await stand.add_election()
    publication, file = await publish(stand.database, election, tmp_path)
    assert await stand.database.vote_plans(publication.hash) == publication.plans
    assert await stand.database.vote_plans("b" * 64) == ()
    await stand.database.download_block0(election, publication.hash, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == file.read_bytes()
    with pytest.raises(PermanentError) as caught:
        await stand.database.download_block0(election, "b" * 64, tmp_path / "copy")
    assert caught.value.reason == "Block0Missing"


async def test_the_same_again_is_a_no_op_whoever_does_it(stand: Stand, tmp_path: Path) -> None:
    election = await stand.add_election()
    publication, file = await publish(stand.database, election, tmp_path)
    restarted = await stand.another_process()
    await restarted.publish_block0(replace(publication, generation=99), file, replace(FACT, at=START + timedelta(1)))
    assert await standing(stand) == publication.hash
    assert len(await stand.journalled()) == 1


async def test_another_block0_is_refused(stand: Stand, tmp_path: Path) -> None:
    election = await stand.add_election()
    await publish(stand.database, election, tmp_path)
    assert "stands there already" in await refusal(
        stand.database, *await prepare(stand.database, election, tmp_path, chain="b")
    )


@pytest.mark.parametrize("change", ["edit", "cancel"])
async def test_what_was_changed_meanwhile_is_refused(stand: Stand, tmp_path: Path, change: str) -> None:
    election = await stand.add_election()
    prepared = await prepare(stand.database, election, tmp_path)
    await (stand.edit if change == "edit" else stand.cancel)(election)
    assert "was edited" in await refusal(stand.database, *prepared)
    assert await standing(stand) is None
    assert await stand.journalled() == []


async def test_a_chain_that_was_withdrawn_is_never_begun_again(stand: Stand, tmp_path: Path) -> None:
    election = await stand.add_election()
    publication, file = await publish(stand.database, election, tmp_path)
    await stand.database.withdraw_block0(election, publication.hash, publication.generation, FACT)
    assert "would count again" in await refusal(stand.database, publication, file)


async def test_a_chain_whose_results_stand_is_not_withdrawn(stand: Stand, tmp_path: Path) -> None:
    election = await stand.add_election()
    publication, _ = await publish(stand.database, election, tmp_path)
    await stand.database.post_results(election, publication.hash, results_of(publication), FACT)
    with pytest.raises(PermanentError, match="results of its chain stand"):
        await stand.database.withdraw_block0(election, publication.hash, publication.generation, FACT)
    assert (await stand.database.overview([publication.hash])).withdrawn == set()
    assert await standing(stand) == publication.hash


async def test_no_other_chain_is_begun_while_one_is_missing(stand: Stand, tmp_path: Path) -> None:
    election = await stand.add_election()
    published, _ = await publish(stand.database, election, tmp_path)
    await stand.vanish(election)
    prepared = await prepare(stand.database, election, tmp_path, chain="b")
    why = await refusal(stand.database, *prepared)
    assert f"{published.hash}" in why
    assert "vanished without being withdrawn" in why


async def test_a_file_of_another_size_is_not_published(stand: Stand, tmp_path: Path) -> None:
    election = await stand.add_election()
    publication, file = await prepare(stand.database, election, tmp_path)
    with pytest.raises(PermanentError) as caught:
        await stand.database.publish_block0(replace(publication, size=publication.size + 1), file, FACT)
    assert caught.value.reason == "Block0Differs"


@pytest.mark.parametrize("loss", ["expired", "taken", "released", "another generation"])
async def test_without_the_lease_nothing_is_published_restored_or_withdrawn(
    stand: Stand, tmp_path: Path, loss: str
) -> None:
    election, other = await stand.add_election(), await stand.add_election("Other")
    published, file = await publish(stand.database, election, tmp_path)
    prepared, its_file = await prepare(stand.database, other, tmp_path, chain="b")
    lease = await stand.database.acquire_lease("leader0", "storage", 600)
    assert lease is not None
    if loss == "expired":
        await stand.expire_lease()
    elif loss == "taken":
        await (await stand.another_process()).acquire_lease("leader0", "storage", 600)
    elif loss == "released":
        await stand.database.release_lease(lease)
    generation = lease.generation + (loss == "another generation")
    before = await stand.journalled()
    assert "right to publish" in await refusal(stand.database, replace(prepared, generation=generation), its_file)
    with pytest.raises(PermanentError, match="right to publish"):
        await stand.database.withdraw_block0(election, published.hash, generation, FACT)
    await stand.vanish(election)
    with pytest.raises(PermanentError, match="right to publish"):
        await stand.database.restore_block0(replace(published, generation=generation), file, FACT, "")
    assert await stand.journalled() == before


async def test_a_vanished_block0_is_put_back_whatever_was_edited(stand: Stand, tmp_path: Path) -> None:
    election = await stand.add_election()
    publication, file = await publish(stand.database, election, tmp_path)
    await stand.vanish(election)
    await stand.edit(election)
    assert (await stand.database.overview([publication.hash])).withdrawn == frozenset()
    for _ in range(2):
        await stand.database.restore_block0(replace(publication, revision=0), file, FACT, "")
    assert await standing(stand) == publication.hash


async def test_nothing_is_put_back_that_was_withdrawn_or_over_another(stand: Stand, tmp_path: Path) -> None:
    election = await stand.add_election()
    first, file = await publish(stand.database, election, tmp_path)
    await stand.database.withdraw_block0(election, first.hash, first.generation, FACT)
    with pytest.raises(PermanentError, match="was withdrawn"):
        await stand.database.restore_block0(first, file, FACT, "")
    second, _ = await publish(stand.database, election, tmp_path, chain="b")
    with pytest.raises(PermanentError, match="stands there now"):
        await stand.database.restore_block0(first, file, FACT, "")
    assert await standing(stand) == second.hash


async def test_a_database_of_before_the_publication_takes_it_anew(stand: Stand, tmp_path: Path) -> None:
    election = await stand.add_election()
    publication, file = await publish(stand.database, election, tmp_path)
    published = await stand.database.publication(publication.hash)
    assert published is not None
    assert published.plans == publication.plans
    await stand.forget(election)
    assert await stand.database.publication(publication.hash) is None
    for _ in range(2):
        await stand.database.restore_block0(replace(publication, revision=0), file, FACT, published.specification)
    assert await standing(stand) == publication.hash
    assert await stand.database.publication(publication.hash) == published


async def test_what_was_cancelled_before_the_publication_came_back_is_withdrawn(stand: Stand, tmp_path: Path) -> None:
    election = await stand.add_election()
    publication, file = await publish(stand.database, election, tmp_path)
    published = await stand.database.publication(publication.hash)
    assert published is not None
    await stand.forget(election)
    await stand.cancel(election)
    await stand.database.restore_block0(replace(publication, revision=0), file, FACT, published.specification)
    await stand.database.withdraw_block0(election, publication.hash, publication.generation, FACT)
    assert await standing(stand) is None
    overview = await stand.database.overview([publication.hash])
    assert overview.withdrawn == {publication.hash}


async def test_nothing_is_published_anew_where_another_chain_was_and_was_not_withdrawn(
    stand: Stand, tmp_path: Path
) -> None:
    election = await stand.add_election()
    publication, file = await publish(stand.database, election, tmp_path)
    published = await stand.database.publication(publication.hash)
    assert published is not None
    await stand.forget(election)
    await publish(stand.database, election, tmp_path, chain="b")
    await stand.vanish(election)
    with pytest.raises(PermanentError, match="without being withdrawn"):
        await stand.database.restore_block0(publication, file, FACT, published.specification)
    assert await standing(stand) is None


async def test_a_withdrawal_takes_exactly_the_named_one_and_once(stand: Stand, tmp_path: Path) -> None:
    election, other = await stand.add_election(), await stand.add_election("Other")
    first, _ = await publish(stand.database, election, tmp_path)
    for unknown in (("b" * 64, election), (first.hash, other)):
        with pytest.raises(PermanentError) as caught:
            await stand.database.withdraw_block0(unknown[1], unknown[0], first.generation, FACT)
        assert caught.value.reason == "Block0Unknown"
    await stand.database.withdraw_block0(election, first.hash, first.generation, FACT)
    second, _ = await publish(stand.database, election, tmp_path, chain="b")
    await stand.expire_lease()
    await stand.database.withdraw_block0(election, first.hash, first.generation, FACT)
    overview = await stand.database.overview([first.hash, second.hash])
    assert overview.withdrawn == {first.hash}
    assert [row.block0.hash for row in overview.elections if row.block0] == [second.hash]
    assert await stand.database.vote_plans(first.hash) == first.plans


async def test_a_vanished_block0_can_be_withdrawn(stand: Stand, tmp_path: Path) -> None:
    election = await stand.add_election()
    publication, _ = await publish(stand.database, election, tmp_path)
    await stand.vanish(election)
    await stand.database.withdraw_block0(election, publication.hash, publication.generation, FACT)
    assert (await stand.database.overview([publication.hash])).withdrawn == {publication.hash}


async def test_each_deed_is_journalled_with_itself_and_once(stand: Stand, tmp_path: Path) -> None:
    """By different services at different times; the later ones find that it is done."""
    election = await stand.add_election()
    publication, file = await prepare(stand.database, election, tmp_path)
    results = results_of(publication)
    archive = StoredArchive(
        election, "Fund 1", publication.hash, "r", ArchiveKind.SUPERSEDED, "t", "s3://b/r", "00", 9, "{}", START
    )
    for hour in range(2):
        at = START + timedelta(hours=hour)
        entries = {of: replace(FACT, event=of, at=at) for of in Fact}
        await stand.database.publish_block0(publication, file, entries[Fact.BLOCK0_WRITTEN])
        await stand.database.post_results(election, publication.hash, results, entries[Fact.RESULTS_WRITTEN])
        await stand.database.save_archive(archive, entries[Fact.ARCHIVE_WRITTEN])
        if hour == 0:
            await stand.vanish(election)
        await stand.database.restore_block0(publication, file, entries[Fact.BLOCK0_RESTORED], "")
    assert [event for _, event, _ in await stand.journalled()] == [
        Fact.BLOCK0_WRITTEN,
        Fact.RESULTS_WRITTEN,
        Fact.ARCHIVE_WRITTEN,
        Fact.BLOCK0_RESTORED,
    ]


async def test_a_withdrawal_is_journalled_once(stand: Stand, tmp_path: Path) -> None:
    election = await stand.add_election()
    publication, _ = await publish(stand.database, election, tmp_path)
    before = await stand.journalled()
    for hour in range(2):
        entry = replace(FACT, event=Fact.BLOCK0_WITHDRAWN, at=START + timedelta(hours=hour))
        await stand.database.withdraw_block0(election, publication.hash, publication.generation, entry)
    assert [event for _, event, _ in (await stand.journalled())[len(before) :]] == [Fact.BLOCK0_WITHDRAWN]


async def test_results_are_posted_once(stand: Stand, tmp_path: Path) -> None:
    election = await stand.add_election()
    publication, _ = await publish(stand.database, election, tmp_path)
    results = results_of(publication)
    assert await stand.database.results(publication.hash) == ()
    await stand.database.post_results(election, publication.hash, results[::-1], FACT)
    assert await stand.database.results(publication.hash) == tuple(results)
    await stand.database.post_results(election, publication.hash, results, FACT)
    with pytest.raises(PermanentError) as caught:
        await stand.database.post_results(election, publication.hash, results_of(publication, votes=8), FACT)
    assert caught.value.reason == "ResultsDiffer"
    assert await stand.database.results(publication.hash) == tuple(results)


async def test_results_and_snapshots_are_of_the_published_plans(stand: Stand, tmp_path: Path) -> None:
    election = await stand.add_election()
    publication, _ = await publish(stand.database, election, tmp_path)
    results = results_of(publication)
    for hash_, wrong in (
        (publication.hash, results[:1]),
        ("b" * 64, results),
        (publication.hash, [results[0], replace(results[1], votes=((1, 2),))]),
    ):
        with pytest.raises(PermanentError) as caught:
            await stand.database.post_results(election, hash_, wrong, FACT)
        assert caught.value.reason == "PlansDiffer"
    assert await stand.database.results(publication.hash) == ()
    with pytest.raises(PermanentError) as caught:
        await stand.database.save_tally_snapshot(publication.hash, {publication.plans[0].id: {}})
    assert caught.value.reason == "PlansDiffer"


async def test_the_first_snapshot_stays(stand: Stand, tmp_path: Path) -> None:
    election = await stand.add_election()
    publication, _ = await publish(stand.database, election, tmp_path)
    first = {plan.id: {"votes": [1, None, 2**60]} for plan in publication.plans}
    assert await stand.database.save_tally_snapshot(publication.hash, first) == first
    other = {plan_id: {"votes": [0]} for plan_id in first}
    assert await stand.database.save_tally_snapshot(publication.hash, other) == first


async def test_an_archive_is_recorded_once_and_the_final_one_counts(stand: Stand) -> None:
    def archive(kind: ArchiveKind, run: str, manifest: str = "{}", later: int = 0) -> StoredArchive:
        at = START + timedelta(seconds=later)
        return StoredArchive(1, "Fund 1", "a" * 64, run, kind, "tip", f"s3://b/{run}", "00", 9, manifest, at)

    assert await stand.database.archive("a" * 64) is None
    salvage, newer = archive(ArchiveKind.SALVAGE, "1"), archive(ArchiveKind.SALVAGE, "2", later=1)
    await stand.database.save_archive(newer, FACT)
    await stand.database.save_archive(salvage, FACT)
    assert await stand.database.archive("a" * 64) == newer
    final = archive(ArchiveKind.FINAL, "3", later=-1)
    for _ in range(2):
        await stand.database.save_archive(final, FACT)
    assert await stand.database.archive("a" * 64) == final
    with pytest.raises(PermanentError) as caught:
        await stand.database.save_archive(archive(ArchiveKind.FINAL, "3", '{"other": 1}'), FACT)
    assert caught.value.reason == "ArchiveDiffers"


async def test_what_archives_hold_is_told_block_by_block(stand: Stand) -> None:
    def archive(kind: ArchiveKind, manifest: str = "{}") -> StoredArchive:
        return StoredArchive(1, "Fund 1", "a" * 64, kind, kind, "tip", f"s3://b/{kind}", "00", 9, manifest, START)

    blocks = [f"{number:064x}" for number in range(3)]
    assert await stand.database.archived_blocks("a" * 64) == frozenset()
    for _ in range(2):
        await stand.database.save_archive(archive(ArchiveKind.FINAL), FACT, blocks[:2])
        await stand.database.save_archive(archive(ArchiveKind.DIVERGENT), FACT, blocks[1:])
    assert await stand.database.archived_blocks("a" * 64) == set(blocks)
    assert await stand.database.archived_blocks("b" * 64) == frozenset()
    with pytest.raises(PermanentError):
        await stand.database.save_archive(archive(ArchiveKind.FINAL, '{"other": 1}'), FACT, ["ff" * 32])
    assert "ff" * 32 not in await stand.database.archived_blocks("a" * 64)


async def test_the_votes_of_the_newest_final_archive_are_those_that_count(stand: Stand) -> None:
    def archive(kind: ArchiveKind, later: int) -> StoredArchive:
        at = START + timedelta(seconds=later)
        return StoredArchive(1, "Fund 1", "a" * 64, f"{later}", kind, "tip", "s3://b", "00", 9, "{}", at)

    votes = [bytes([number]) * 16 for number in range(4)]
    await stand.database.save_archive(archive(ArchiveKind.DIVERGENT, 9), FACT, (), votes[:1])
    assert await stand.database.counted_votes("a" * 64) == frozenset()
    await stand.database.save_archive(archive(ArchiveKind.FINAL, 2), FACT, (), votes[1:3])
    await stand.database.save_archive(archive(ArchiveKind.FINAL, 1), FACT, (), votes[3:])
    assert await stand.database.counted_votes("a" * 64) == set(votes[1:3])
    assert await stand.database.counted_votes("b" * 64) == frozenset()


async def test_a_superseded_archive_comes_before_a_divergent_one_that_is_newer(stand: Stand) -> None:
    superseded, divergent = (
        StoredArchive(1, "Fund 1", "a" * 64, kind, kind, "tip", f"s3://b/{kind}", "00", 9, "{}", START + later)
        for kind, later in ((ArchiveKind.SUPERSEDED, timedelta(0)), (ArchiveKind.DIVERGENT, timedelta(1)))
    )
    await stand.database.save_archive(divergent, FACT)
    assert await stand.database.archive("a" * 64) == divergent
    assert (await stand.database.overview(["a" * 64])).archived == frozenset()
    await stand.database.save_archive(superseded, FACT)
    assert await stand.database.archive("a" * 64) == superseded
    assert (await stand.database.overview(["a" * 64])).archived == {"a" * 64}


async def acquire(database: Database, hostname: str, instance: str = "storage") -> Lease | None:
    return await database.acquire_lease(hostname, instance, 600)


async def test_a_lease_is_renewed_by_its_process_and_taken_anew_by_the_next_one(stand: Stand) -> None:
    first = await acquire(stand.database, "a")
    renewed = await acquire(stand.database, "a")
    restarted = await acquire(await stand.another_process(), "a")
    assert first and renewed and restarted  # noqa: PT018 - three leases
    assert [lease.generation - first.generation for lease in (renewed, restarted)] == [0, 1]
    assert renewed.expires_at >= first.expires_at
    assert restarted.unconfirmed_holder is None


@pytest.mark.parametrize(("hostname", "instance"), [("b", "storage"), ("a", "another storage")])
async def test_a_held_lease_is_another_s_only_when_it_expires(stand: Stand, hostname: str, instance: str) -> None:
    first, other = await acquire(stand.database, "a"), await stand.another_process()
    assert await acquire(other, hostname, instance) is None
    await stand.expire_lease()
    taken = await acquire(other, hostname, instance)
    assert first is not None
    assert taken is not None
    assert taken.generation == first.generation + 1
    assert taken.unconfirmed_holder == ("a" if hostname == "b" else None)
    again = await acquire(stand.database, "a")
    if hostname == "a":
        assert again is None, "it has another storage directory, and its own was given up"
    else:
        assert again is not None, "who shows up alive may have a node running, and is the only one that may"
        assert again.unconfirmed_holder is None


async def test_a_released_lease_is_free_at_once(stand: Stand) -> None:
    first = await acquire(stand.database, "a")
    assert first is not None
    await stand.database.release_lease(first)
    taken = await acquire(await stand.another_process(), "b")
    assert taken is not None
    assert (taken.generation, taken.unconfirmed_holder) == (first.generation + 1, None)


async def test_who_stops_late_confirms_it_to_the_successor(stand: Stand) -> None:
    first, other = await acquire(stand.database, "a"), await stand.another_process()
    assert first is not None
    await stand.expire_lease()
    taken = await acquire(other, "b")
    assert taken is not None
    assert taken.unconfirmed_holder == "a"
    await stand.database.release_lease(first)
    confirmed = await acquire(other, "b")
    assert confirmed is not None
    assert (confirmed.generation, confirmed.unconfirmed_holder) == (taken.generation, None)
