"""What is said of a specification that was edited after its block 0 was published."""

from pathlib import Path

import asyncpg
import pytest

from node_fsm.core.errors import PermanentError
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.database.canonical import MAX_DIFFERENCES
from tests.database.world import key, publish

ZERO, ONE = "00" * 32, "01" * 32


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ("UPDATE election SET committee_threshold = 2", "committee_threshold was 1 and is 2"),
        ("UPDATE election SET voting_power_unit = 2", "voting_power_unit was 1 and is 2"),
        ("DELETE FROM committee", f"committee member {key(99)} was removed"),
        ("UPDATE committee SET member_index = 1", f"committee member {key(99)} was changed"),
        (
            "UPDATE proposal SET deleted = true WHERE title = 'Proposal 1'",
            f"proposal {ONE} of group direct was removed",
        ),
        (
            "UPDATE proposal SET options = ARRAY['yes'] WHERE title = 'Proposal 1'",
            f"proposal {ONE} of group direct was changed",
        ),
        (
            "UPDATE proposal SET id = 1000 WHERE id = (SELECT min(id) FROM proposal)",
            "the proposals are in another order",
        ),
        (
            "DELETE FROM voter WHERE voting_group = 'rep'",
            "the voters of group rep were 1 with a power of 7 and are 0 with 0",
        ),
        ("UPDATE election SET name = 'Other'", "nothing differs"),
    ],
)
async def test_what_differs_is_named(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path, edit: str, said: str
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    await sql.execute(edit)
    assert await database.drift(election, publication.hash) == said


async def test_an_edited_time_is_named_with_both_values(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    was = await sql.fetchval("SELECT voting_end FROM election")
    now = await sql.fetchval("UPDATE election SET voting_end = voting_end + interval '1 hour' RETURNING voting_end")
    said = f"voting_end was {was.isoformat()} and is {now.isoformat()}"
    assert await database.drift(election, publication.hash) == said


async def test_many_differences_are_cut_short(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    for number in range(9):
        await sql.execute("INSERT INTO committee VALUES ($1, $2, $3)", election, key(number), 10 + number)
    said = await database.drift(election, publication.hash)
    assert said.count(";") == MAX_DIFFERENCES
    assert said.endswith("and 4 more changes")


async def test_a_block0_that_never_was_has_no_specification(database: PostgresDatabase, election: int) -> None:
    with pytest.raises(PermanentError, match="no specification was published with block 0 unknown"):
        await database.drift(election, "unknown")
