"""Publishing block 0: once, whole, by who may, and of what was read."""

import asyncio
import base64
import json
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from node_fsm.block0.genesis import MAX_BLOCK0_SIZE
from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.core.model import Publication
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.database.file_pieces import PIECE_SIZE
from tests.database.world import add_election, prepare, publish, until_somebody_waits_for_a_lock
from tests.support.fakes import FACT


async def refusal(database: PostgresDatabase, publication: Publication, block0: Path) -> str:
    """Why the publication is refused."""
    with pytest.raises(PermanentError) as caught:
        await database.publish_block0(publication, block0, FACT)
    assert caught.value.reason == "PublicationRefused"
    return caught.value.message


async def nothing_is_published(sql: asyncpg.Connection) -> bool:
    return not await sql.fetchval(
        "SELECT EXISTS (SELECT FROM vote_plan) OR EXISTS (SELECT FROM published_specification)"
        " OR EXISTS (SELECT FROM election WHERE extras <> '{}')"
    )


@pytest.mark.parametrize("size", [1, PIECE_SIZE - 1, PIECE_SIZE, PIECE_SIZE + 1, 3 * PIECE_SIZE + 2])
async def test_block0_is_in_extras_as_base64_with_what_it_is(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path, size: int
) -> None:
    await sql.execute("UPDATE election SET extras = '{\"note\": 1}'")
    publication, file = await prepare(database, election, tmp_path, size=size)
    await database.publish_block0(publication, file, FACT)
    extras = json.loads(await sql.fetchval("SELECT extras FROM election"))
    block0 = extras.pop("block0")
    assert extras == {"note": 1}
    assert base64.b64decode(block0.pop("data"), validate=True) == file.read_bytes()
    assert block0.pop("published_at").endswith("+00:00")
    assert block0 == {
        "hash": publication.hash,
        "size": size,
        "encoding": "base64",
        "fingerprint": publication.fingerprint,
        "published_by": "leader0",
        "generation": publication.generation,
    }


async def test_the_plans_are_read_back_as_published(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    await sql.execute("UPDATE proposal SET options = ARRAY['edited later']")
    await sql.execute("DELETE FROM proposal WHERE title = 'Proposal 1'")
    assert await database.vote_plans(publication.hash) == publication.plans
    assert await database.vote_plans("b" * 64) == ()


async def test_the_downloaded_file_is_the_published_one(
    database: PostgresDatabase, election: int, tmp_path: Path
) -> None:
    publication, file = await prepare(database, election, tmp_path, size=2 * PIECE_SIZE + 100)
    await database.publish_block0(publication, file, FACT)
    target = tmp_path / "downloaded"
    await database.download_block0(election, publication.hash, target)
    assert target.read_bytes() == file.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob("*.partial"))


async def test_publishing_the_same_again_is_a_no_op_whoever_does_it(
    database: PostgresDatabase, sql: asyncpg.Connection, database_url: str, election: int, tmp_path: Path
) -> None:
    publication, file = await publish(database, election, tmp_path)
    before = await sql.fetchrow("SELECT xmin, * FROM election")
    await database.publish_block0(publication, file, FACT)
    restarted = PostgresDatabase(database_url)
    again, same = await prepare(restarted, election, tmp_path)
    assert again.generation == publication.generation + 1
    await restarted.publish_block0(again, same, FACT)
    await restarted.close()
    assert await sql.fetchrow("SELECT xmin, * FROM election") == before
    assert await sql.fetchval("SELECT count(*) FROM vote_plan") == 2


async def test_another_block0_is_refused(database: PostgresDatabase, election: int, tmp_path: Path) -> None:
    published, _ = await publish(database, election, tmp_path)
    publication, file = await prepare(database, election, tmp_path, chain="b")
    assert f"block 0 {published.hash} of Fund 1 stands there already" in await refusal(database, publication, file)
    assert await database.vote_plans(publication.hash) == ()


async def test_an_edit_after_the_reading_is_refused(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path
) -> None:
    publication, file = await prepare(database, election, tmp_path)
    await sql.execute("UPDATE voter SET voting_power = voting_power + 1")
    why = await refusal(database, publication, file)
    assert f"revision {publication.revision} is now {publication.revision + 1}" in why
    assert await nothing_is_published(sql)


async def test_an_edit_that_is_not_committed_yet_is_waited_for(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path
) -> None:
    publication, file = await prepare(database, election, tmp_path)
    async with sql.transaction():
        await sql.execute("DELETE FROM voter WHERE voting_power = 4")
        publishing = asyncio.create_task(database.publish_block0(publication, file, FACT))
        await until_somebody_waits_for_a_lock(sql)
    with pytest.raises(PermanentError, match="was edited"):
        await publishing
    assert await nothing_is_published(sql)


async def test_a_cancelled_election_is_refused(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path
) -> None:
    publication, file = await prepare(database, election, tmp_path)
    await sql.execute("UPDATE election SET cancelled_at = now()")
    assert "was edited" in await refusal(database, publication, file)


async def test_a_deleted_election_is_gone(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path
) -> None:
    publication, file = await prepare(database, election, tmp_path)
    await sql.execute("DELETE FROM election")
    with pytest.raises(PermanentError, match=f"election {election} is not in the database any more"):
        await database.publish_block0(publication, file, FACT)


@pytest.mark.parametrize(
    "loss",
    [
        "UPDATE lease SET generation = generation + 1",
        "UPDATE lease SET expires_at = clock_timestamp()",
        "UPDATE lease SET stopped = true",
        "DELETE FROM lease",
    ],
)
async def test_without_the_lease_nothing_is_published(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path, loss: str
) -> None:
    publication, file = await prepare(database, election, tmp_path)
    await sql.execute(loss)
    why = await refusal(database, publication, file)
    assert f"generation {publication.generation} of the lease" in why
    assert await nothing_is_published(sql)


async def test_the_lease_cannot_be_taken_while_a_publication_is_being_committed(
    database: PostgresDatabase, sql: asyncpg.Connection, database_url: str, election: int, tmp_path: Path
) -> None:
    """A holder that was slow and whose lease expired meanwhile publishes before or not at all."""
    publication, file = await prepare(database, election, tmp_path)
    async with sql.transaction():
        await sql.execute("UPDATE lease SET generation = generation + 1, holder = 'other'")
        publishing = asyncio.create_task(database.publish_block0(publication, file, FACT))
        await until_somebody_waits_for_a_lock(sql)
    with pytest.raises(PermanentError, match="the right to publish"):
        await publishing
    assert await nothing_is_published(sql)


async def test_two_at_once_publish_one(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path
) -> None:
    pairs = [await prepare(database, election, tmp_path, chain=chain) for chain in "ab"]
    outcomes = await asyncio.gather(
        *(database.publish_block0(publication, file, FACT) for publication, file in pairs), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {type(None), PermanentError}
    assert await sql.fetchval("SELECT count(DISTINCT block0_hash) FROM vote_plan") == 1


async def test_a_file_of_another_size_is_not_published(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path
) -> None:
    publication, file = await prepare(database, election, tmp_path)
    with pytest.raises(PermanentError, match="has 5000 bytes and was checked with 5001"):
        await database.publish_block0(replace(publication, size=5001), file, FACT)
    assert await nothing_is_published(sql)


async def test_a_block0_that_does_not_fit_is_refused_with_the_figure(
    database: PostgresDatabase, election: int, tmp_path: Path
) -> None:
    publication, file = await prepare(database, election, tmp_path)
    with pytest.raises(PermanentError, match=f"{MAX_BLOCK0_SIZE + 1} bytes.*at most {MAX_BLOCK0_SIZE}") as caught:
        await database.publish_block0(replace(publication, size=MAX_BLOCK0_SIZE + 1), file, FACT)
    assert caught.value.reason == "Block0TooLarge"


def test_the_largest_block0_fits_into_a_json_string() -> None:
    assert (MAX_BLOCK0_SIZE + 2) // 3 * 4 < 2**28 - 1


async def test_a_missing_file_is_named(database: PostgresDatabase, election: int, tmp_path: Path) -> None:
    publication, file = await prepare(database, election, tmp_path)
    file.unlink()
    with pytest.raises(TemporaryError, match=f"{file}: No such file"):
        await database.publish_block0(publication, file, FACT)


async def test_a_published_election_cannot_be_deleted_and_the_message_says_what_to_do(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    with pytest.raises(asyncpg.RestrictViolationError) as caught:
        await sql.execute("DELETE FROM election")
    assert f"election {election} (Fund 1) cannot be deleted: it was published as block 0 {publication.hash}" in str(
        caught.value
    )
    assert caught.value.hint == "To end the election, run: node-fsm election cancel"


async def test_elections_do_not_disturb_each_other(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path
) -> None:
    other = await add_election(sql, "Fund 2")
    first, _ = await publish(database, election, tmp_path)
    second, _ = await publish(database, other, tmp_path, chain="b")
    hashes = {listed.id: listed.block0 and listed.block0.hash for listed in (await database.overview([])).elections}
    assert hashes == {election: first.hash, other: second.hash}
