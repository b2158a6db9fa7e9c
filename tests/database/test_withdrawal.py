"""Withdrawing a block 0, putting back one that vanished, and reading one that is damaged."""

from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from node_fsm.core.errors import PermanentError
from node_fsm.database.adapter import PostgresDatabase
from tests.database.world import prepare, publish
from tests.support.fakes import FACT

VANISH = "UPDATE election SET extras = extras - 'block0'"


async def test_a_withdrawn_block0_is_gone_and_its_plans_are_marked(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path
) -> None:
    await sql.execute("UPDATE election SET extras = '{\"note\": 1}'")
    publication, _ = await publish(database, election, tmp_path)
    await database.withdraw_block0(election, publication.hash, publication.generation, FACT)
    assert await sql.fetchval("SELECT extras::text FROM election") == '{"note": 1}'
    overview = await database.overview([publication.hash])
    assert overview.withdrawn == {publication.hash}
    assert overview.elections[0].block0 is None
    assert await database.vote_plans(publication.hash) == publication.plans


async def test_withdrawing_again_is_a_no_op_even_without_the_lease(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    await database.withdraw_block0(election, publication.hash, publication.generation, FACT)
    at = await sql.fetchval("SELECT min(withdrawn_at) FROM vote_plan")
    await sql.execute("UPDATE lease SET generation = 99")
    await database.withdraw_block0(election, publication.hash, publication.generation, FACT)
    assert await sql.fetchval("SELECT max(withdrawn_at) FROM vote_plan") == at


async def test_another_block0_than_the_named_one_stays(
    database: PostgresDatabase, election: int, tmp_path: Path
) -> None:
    first, _ = await publish(database, election, tmp_path)
    await database.withdraw_block0(election, first.hash, first.generation, FACT)
    second, _ = await publish(database, election, tmp_path, chain="b")
    await database.withdraw_block0(election, first.hash, first.generation, FACT)
    block0 = (await database.overview([])).elections[0].block0
    assert block0 is not None
    assert block0.hash == second.hash


async def test_a_block0_that_never_was_cannot_be_withdrawn(
    database: PostgresDatabase, election: int, tmp_path: Path
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    with pytest.raises(PermanentError, match=f"election {election} never had a block 0 b"):
        await database.withdraw_block0(election, "b" * 64, publication.generation, FACT)


async def test_without_the_lease_nothing_is_withdrawn(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    with pytest.raises(PermanentError, match="the right to publish"):
        await database.withdraw_block0(election, publication.hash, publication.generation + 1, FACT)
    assert (await database.overview([])).elections[0].block0 is not None


async def test_a_withdrawn_chain_cannot_be_begun_again(
    database: PostgresDatabase, election: int, tmp_path: Path
) -> None:
    publication, file = await publish(database, election, tmp_path)
    await database.withdraw_block0(election, publication.hash, publication.generation, FACT)
    with pytest.raises(PermanentError, match="votes of that chain would count again"):
        await database.publish_block0(publication, file, FACT)


async def test_a_vanished_block0_is_put_back_whatever_was_edited(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path
) -> None:
    publication, file = await publish(database, election, tmp_path)
    await sql.execute(VANISH)
    await sql.execute("UPDATE election SET voting_power_unit = 2")
    assert (await database.overview([publication.hash])).withdrawn == frozenset()
    for _ in range(2):
        await database.restore_block0(replace(publication, revision=0), file, FACT, "")
    block0 = (await database.overview([])).elections[0].block0
    assert block0 is not None
    assert (block0.hash, block0.fingerprint) == (publication.hash, publication.fingerprint)
    await database.download_block0(election, publication.hash, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


async def test_a_withdrawn_block0_is_not_put_back(database: PostgresDatabase, election: int, tmp_path: Path) -> None:
    publication, file = await publish(database, election, tmp_path)
    await database.withdraw_block0(election, publication.hash, publication.generation, FACT)
    with pytest.raises(PermanentError, match="was withdrawn"):
        await database.restore_block0(publication, file, FACT, "")


async def test_nothing_is_put_back_over_another_block0_or_without_the_lease(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path
) -> None:
    publication, file = await publish(database, election, tmp_path)
    await sql.execute("UPDATE election SET extras = jsonb_set(extras, '{block0,hash}', to_jsonb(repeat('c', 64)))")
    with pytest.raises(PermanentError, match=f"block 0 {'c' * 64} of Fund 1 stands there now"):
        await database.restore_block0(publication, file, FACT, "")
    await sql.execute(VANISH)
    with pytest.raises(PermanentError, match="the right to publish"):
        await database.restore_block0(replace(publication, generation=99), file, FACT, "")


async def test_no_other_chain_is_begun_while_one_is_missing(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path
) -> None:
    published, _ = await publish(database, election, tmp_path)
    await sql.execute(VANISH)
    publication, file = await prepare(database, election, tmp_path, chain="b")
    with pytest.raises(PermanentError, match=f"block 0 {published.hash} of Fund 1 vanished without being withdrawn"):
        await database.publish_block0(publication, file, FACT)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            "UPDATE election SET extras = jsonb_set(extras, '{block0,data}', '\"!!!!\"')",
            "damaged: invalid symbol",
        ),
        (
            "UPDATE election SET extras = jsonb_set(extras, '{block0,data}', '\"AAAA\"')",
            "damaged: it has 3 bytes and should have 5000",
        ),
        ("UPDATE election SET extras = extras #- '{block0,data}'", "damaged: it has 0 bytes and should have 5000"),
    ],
)
async def test_a_damaged_block0_is_not_left_as_a_file(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path, damage: str, said: str
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    await sql.execute(damage)
    target = tmp_path / "target" / "block0.bin"
    target.parent.mkdir()
    with pytest.raises(PermanentError, match=said) as caught:
        await database.download_block0(election, publication.hash, target)
    assert caught.value.reason == "Block0Corrupt"
    assert list(target.parent.iterdir()) == []


async def test_a_failed_download_leaves_the_earlier_file(
    database: PostgresDatabase, election: int, tmp_path: Path
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    target = tmp_path / "block0.bin"
    target.write_bytes(b"earlier")
    await database.withdraw_block0(election, publication.hash, publication.generation, FACT)
    with pytest.raises(PermanentError, match=f"election {election} has no block 0 {publication.hash} any more"):
        await database.download_block0(election, publication.hash, target)
    assert target.read_bytes() == b"earlier"
