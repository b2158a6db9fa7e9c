import asyncio
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from node_fsm.core.errors import PermanentError
from node_fsm.core.model import ArchiveKind, PlanResult, StoredArchive
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.database.administration import confirm_tally
from tests.database.world import START, publish, results_of
from tests.support.fakes import FACT


async def test_results_are_read_back_as_posted(database: PostgresDatabase, election: int, tmp_path: Path) -> None:
    publication, _ = await publish(database, election, tmp_path)
    assert await database.results(publication.hash) == ()
    first, second = publication.plans
    results = (
        PlanResult(first.id, ((1, 2, 3), (40, 50, 60)), "f" * 64, True),
        PlanResult(second.id, ((0, 0, 2**62),), None, False),
    )
    await database.post_results(election, publication.hash, list(reversed(results)), FACT)
    assert await database.results(publication.hash) == results


async def test_results_name_proposals_and_outlive_the_election(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    await database.post_results(election, publication.hash, results_of(publication, votes=5), FACT)
    await sql.execute("DELETE FROM vote_plan")
    await sql.execute("DELETE FROM election")
    rows = await sql.fetch(
        "SELECT external_id, option, votes, election_name FROM tally_result JOIN tally USING (block0_hash, vote_plan)"
        " ORDER BY tally.index, proposal_index, option"
    )
    external_ids = [proposal.external_id for plan in publication.plans for proposal in plan.proposals]
    assert [tuple(row) for row in rows] == [
        (external_id, option, 5, "Fund 1") for external_id in external_ids for option in range(3)
    ]


async def test_the_same_results_again_are_a_no_op(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    results = results_of(publication)
    await database.post_results(election, publication.hash, results, FACT)
    before = await sql.fetch("SELECT xmin, * FROM tally")
    await database.post_results(election, publication.hash, results, FACT)
    await asyncio.gather(*(database.post_results(election, publication.hash, results, FACT) for _ in range(3)))
    assert await sql.fetch("SELECT xmin, * FROM tally") == before


@pytest.mark.parametrize("change", [{"votes": ((9, 9, 9),)}, {"fragment_id": None}, {"on_chain": False}])
async def test_different_results_are_refused_and_the_first_are_kept(
    database: PostgresDatabase, election: int, tmp_path: Path, change: dict[str, object]
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    results = results_of(publication)
    await database.post_results(election, publication.hash, results, FACT)
    different = [results[0], replace(results[1], **change)]  # type: ignore[arg-type]  # each change fits its field
    with pytest.raises(PermanentError, match=results[1].plan_id) as caught:
        await database.post_results(election, publication.hash, different, FACT)
    assert caught.value.reason == "ResultsDiffer"
    assert await database.results(publication.hash) == tuple(results)


async def test_disputed_results_give_way_to_others(database: PostgresDatabase, election: int, tmp_path: Path) -> None:
    publication, _ = await publish(database, election, tmp_path)
    first, second = results_of(publication, votes=1), results_of(publication, votes=2)
    plan_ids = [plan.id for plan in publication.plans]
    await database.post_results(election, publication.hash, first, FACT, disputed="1 of 3 leaders")
    assert await database.disputed(publication.hash) == "1 of 3 leaders"
    await database.post_results(election, publication.hash, second, FACT, disputed="2 of 4 leaders")
    assert await database.results(publication.hash) == tuple(second)
    assert await database.disputed(publication.hash) == "2 of 4 leaders"
    await database.post_results(election, publication.hash, first, FACT, disputed="1 of 3 leaders")
    for snapshot in (dict.fromkeys(plan_ids, "first"), dict.fromkeys(plan_ids, "second")):
        assert await database.save_tally_snapshot(publication.hash, snapshot) == snapshot
    await database.post_results(election, publication.hash, second, FACT)
    assert await database.results(publication.hash) == tuple(second)
    assert await database.disputed(publication.hash) is None
    assert (await database.overview([])).disputed == ()
    assert set((await database.save_tally_snapshot(publication.hash, dict.fromkeys(plan_ids, "x"))).values()) == {
        "second"
    }
    with pytest.raises(PermanentError, match="ResultsDiffer"):
        await database.post_results(election, publication.hash, first, FACT)


async def test_disputed_results_that_a_person_confirmed_stay(
    database: PostgresDatabase, election: int, tmp_path: Path
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    first = results_of(publication, votes=1)
    await database.post_results(election, publication.hash, first, FACT, disputed="1 of 3 leaders")
    await confirm_tally(database.session, "Fund 1")
    assert await database.disputed(publication.hash) is None
    with pytest.raises(PermanentError, match="ResultsDiffer"):
        await database.post_results(election, publication.hash, results_of(publication, votes=2), FACT)
    assert await database.results(publication.hash) == tuple(first)


async def test_results_of_only_some_plans_are_refused(
    database: PostgresDatabase, election: int, tmp_path: Path
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    results = results_of(publication)
    with pytest.raises(PermanentError, match=f"what is to be recorded has {results[0].plan_id}$"):
        await database.post_results(election, publication.hash, results[:1], FACT)
    with pytest.raises(PermanentError, match="published with the plans"):
        await database.post_results(election, "b" * 64, results, FACT)
    assert await database.results(publication.hash) == ()


async def test_results_with_other_options_are_refused_as_a_whole(
    database: PostgresDatabase, election: int, tmp_path: Path
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    results = results_of(publication)
    results[1] = replace(results[1], votes=((1, 2),))
    with pytest.raises(PermanentError, match="other proposals or options than were published"):
        await database.post_results(election, publication.hash, results, FACT)
    assert await database.results(publication.hash) == ()


async def test_the_first_tally_snapshot_stays(database: PostgresDatabase, election: int, tmp_path: Path) -> None:
    publication, _ = await publish(database, election, tmp_path)
    first = {plan.id: {"id": plan.id, "proposals": [{"votes": 2**60}], "é": None} for plan in publication.plans}
    assert await database.save_tally_snapshot(publication.hash, first) == first
    second = {plan_id: {"other": True} for plan_id in first}
    assert await database.save_tally_snapshot(publication.hash, second) == first


async def test_a_snapshot_of_other_plans_is_refused(database: PostgresDatabase, election: int, tmp_path: Path) -> None:
    publication, _ = await publish(database, election, tmp_path)
    with pytest.raises(PermanentError) as caught:
        await database.save_tally_snapshot(publication.hash, {publication.plans[0].id: {}})
    assert caught.value.reason == "PlansDiffer"


def an_archive(kind: ArchiveKind, run_id: str, manifest: str = "{}") -> StoredArchive:
    return StoredArchive(7, "Fund 1", "a" * 64, run_id, kind, "tip", f"s3://b/{run_id}", "00", 9, manifest, START)


async def test_the_final_archive_comes_before_all_others(database: PostgresDatabase) -> None:
    assert await database.archive("a" * 64) is None
    salvage, final = an_archive(ArchiveKind.SALVAGE, "1"), an_archive(ArchiveKind.FINAL, "2")
    await database.save_archive(salvage, FACT)
    assert await database.archive("a" * 64) == salvage
    await database.save_archive(final, FACT)
    await database.save_archive(an_archive(ArchiveKind.SALVAGE, "3"), FACT)
    assert await database.archive("a" * 64) == final


async def test_an_archive_is_recorded_once(database: PostgresDatabase, sql: asyncpg.Connection) -> None:
    final = an_archive(ArchiveKind.FINAL, "1", '{ "b": 1,\n "a": 2 }')
    await database.save_archive(final, FACT)
    await database.save_archive(final, FACT)
    assert await sql.fetchval("SELECT count(*) FROM archive") == 1
    with pytest.raises(PermanentError, match=r"run 1 of block 0 a+ with another manifest") as caught:
        await database.save_archive(an_archive(ArchiveKind.FINAL, "1", "{}"), FACT)
    assert caught.value.reason == "ArchiveDiffers"
    assert await database.archive("a" * 64) == final
