"""What operators do to published elections, and what they see of them."""

from pathlib import Path

import asyncpg
import pytest

from node_fsm.core.errors import PermanentError
from node_fsm.core.model import ArchiveKind, StoredArchive
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.database.administration import cancel_election, confirm_tally
from node_fsm.database.election_show import describe_election
from tests.database.world import START, publish, results_of
from tests.support.fakes import FACT


async def test_cancelling_a_published_election_leaves_the_withdrawal_to_leader0(
    database: PostgresDatabase, election: int, tmp_path: Path
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    assert await cancel_election(database.session, "Fund 1") == publication.hash
    overview = await database.overview([publication.hash])
    assert overview.elections[0].cancelled
    assert overview.elections[0].block0 is not None
    assert overview.withdrawn == frozenset()


async def test_an_election_whose_results_stand_is_not_cancelled(
    database: PostgresDatabase, election: int, tmp_path: Path
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    await database.post_results(election, publication.hash, results_of(publication), FACT)
    with pytest.raises(PermanentError) as caught:
        await cancel_election(database.session, "Fund 1")
    assert caught.value.reason == "ElectionCounted"
    assert not (await database.overview([])).elections[0].cancelled


async def test_cancelling_gives_up_a_block0_that_vanished(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    await sql.execute("UPDATE election SET extras = '{}'")
    assert await cancel_election(database.session, "Fund 1") is None
    assert (await database.overview([publication.hash])).withdrawn == {publication.hash}


async def test_a_disputed_count_is_shown_and_said_until_a_person_confirms_it(
    database: PostgresDatabase, election: int, tmp_path: Path
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    why = "leader1 has another last block"
    await database.post_results(election, publication.hash, results_of(publication), FACT, disputed=why)
    (said,) = (await database.overview([])).disputed
    assert (said.election_name, said.block0_hash, said.why) == ("Fund 1", publication.hash, why)
    assert not await database.tally_confirmed(publication.hash)
    assert await confirm_tally(database.session, "Fund 1") == (publication.hash, True)
    assert await database.tally_confirmed(publication.hash)
    assert (await database.overview([])).disputed == ()
    for plan in (await describe_election(database.session, "Fund 1"))["plans"]:
        assert plan["disputed"] == why  # it stays on record that it was
        assert plan["confirmed_at"]


async def test_a_finished_election_is_shown_with_plans_results_and_archives(
    database: PostgresDatabase, election: int, tmp_path: Path
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    await database.post_results(election, publication.hash, results_of(publication), FACT)
    kind = ArchiveKind.FINAL
    await database.save_archive(
        StoredArchive(election, "Fund 1", publication.hash, "r", kind, "t", "s3://b/k", "00", 9, "{}", START), FACT
    )
    shown = await describe_election(database.session, "Fund 1")
    assert (shown["block0_hash"], shown["block0_size"]) == (publication.hash, publication.size)
    assert [plan["chain_id"] for plan in shown["plans"]] == [plan.id for plan in publication.plans]
    assert [plan["published_by"] for plan in shown["plans"]] == ["leader0", "leader0"]
    assert [plan["disputed"] for plan in shown["plans"]] == [None, None]
    assert [plan["results"] for plan in shown["plans"]] == [
        {proposal.external_id.hex(): [7, 7, 7] for proposal in plan.proposals} for plan in publication.plans
    ]
    assert [(archive["kind"], archive["uri"]) for archive in shown["archives"]] == [("final", "s3://b/k")]
