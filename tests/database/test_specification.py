"""Fingerprints: what they cover, and what they do not. Funds and tokens: who gets how much."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from node_fsm.core.errors import PermanentError
from node_fsm.core.model import VotingGroup
from node_fsm.core.payload_type import PayloadType
from node_fsm.database.adapter import PostgresDatabase
from tests.database.world import OPTIONS, START, add_election, key

COVERED = [
    "UPDATE election SET voting_start = voting_start - interval '1 hour'",
    "UPDATE election SET voting_end = voting_end - interval '1 hour'",
    "UPDATE election SET tallying_end = tallying_end + interval '1 hour'",
    "UPDATE election SET committee_threshold = 2",
    "UPDATE election SET voting_power_unit = 2",
    "UPDATE objective SET payload_type = 'private'",
    "UPDATE objective SET voting_group = 'direct'",
    "UPDATE proposal SET external_id = sha256(external_id)",
    "UPDATE proposal SET options = array_append(options, 'other')",
    "UPDATE proposal SET options = ARRAY['no', 'yes', 'abstain']",
    "UPDATE proposal SET deleted = true WHERE title = 'Proposal 1'",
    "UPDATE proposal SET id = 1000 WHERE id = (SELECT min(id) FROM proposal)",
    "UPDATE committee SET member_index = 5",
    "UPDATE committee SET member_public_key = 'other'",
    "UPDATE committee SET id = lpad('5', 64, '0')",
    "DELETE FROM committee",
    "UPDATE voter SET voting_power = voting_power + 1 WHERE voting_power = 500",
    "UPDATE voter SET voting_key = lpad('8', 64, '0') WHERE voting_power = 500",
    "UPDATE voter SET voting_group = 'rep' WHERE voting_power = 4",
    "UPDATE voter SET address = 'ca1other' WHERE voting_power = 4",
    "DELETE FROM voter WHERE voting_power = 4",
    # The same number of voters with the same sum.
    "UPDATE voter SET voting_power = CASE voting_power WHEN 500 THEN 30 ELSE 500 END WHERE voting_power IN (500, 30)",
]
NOT_COVERED = [
    "UPDATE election SET name = 'Other', description = 'Other'",
    "UPDATE objective SET title = 'Other'",
    "UPDATE proposal SET title = 'Other'",
    "INSERT INTO jorm_nodes VALUES ('leader1')",
    "UPDATE election SET cancelled_at = now()",
    "INSERT INTO proposal (objective, title, options, deleted) SELECT id, 't', ARRAY['a'], true FROM objective",
    "UPDATE election SET voting_start = voting_start AT TIME ZONE 'Asia/Tokyo' AT TIME ZONE 'Asia/Tokyo'",
]


async def fingerprint(database: PostgresDatabase, election: int) -> str:
    return (await database.specification(election)).fingerprint


@pytest.mark.parametrize("edit", COVERED)
async def test_the_fingerprint_covers_what_block0_is_made_of(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, edit: str
) -> None:
    before = await fingerprint(database, election)
    await sql.execute(edit)
    assert await fingerprint(database, election) != before


@pytest.mark.parametrize("edit", NOT_COVERED)
async def test_the_fingerprint_does_not_cover_words(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, edit: str
) -> None:
    before = await fingerprint(database, election)
    await sql.execute(edit)
    assert await fingerprint(database, election) == before


async def test_the_fingerprint_does_not_depend_on_the_order_of_voters(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int
) -> None:
    before = await fingerprint(database, election)
    voters = [tuple(row) for row in await sql.fetch("SELECT * FROM voter")]
    await sql.execute("TRUNCATE voter")
    await sql.copy_records_to_table("voter", records=reversed(voters))
    assert await fingerprint(database, election) == before


async def test_the_same_election_in_another_row_has_the_same_fingerprint(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int
) -> None:
    other = await add_election(sql, "Fund 2")
    assert await fingerprint(database, other) == await fingerprint(database, election)


async def test_the_fingerprint_says_its_version(database: PostgresDatabase, election: int) -> None:
    version, _, digest = (await fingerprint(database, election)).partition(":")
    assert version == "1"
    assert len(bytes.fromhex(digest)) == 32


async def test_the_specification_has_all_that_was_specified(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int
) -> None:
    await sql.execute("UPDATE election SET voting_power_unit = 7")
    spec = await database.specification(election)
    assert (spec.name, spec.voting_start, spec.voting_power_unit) == ("Fund 1", START, 7)
    assert [(member.id, member.index, member.public_key) for member in spec.committee] == [(key(99), 0, None)]
    assert [(objective.voting_group, objective.payload_type) for objective in spec.objectives] == [
        ("direct", PayloadType.PUBLIC),
        ("rep", PayloadType.PUBLIC),
    ]
    assert [proposal.external_id[0] for proposal in spec.objectives[0].proposals] == [0, 1]
    assert {proposal.options for objective in spec.objectives for proposal in objective.proposals} == {OPTIONS}
    assert spec.groups == (VotingGroup("direct", 3, 2, 500 // 7 + 30 // 7), VotingGroup("rep", 1, 1, 1))
    assert spec.address_prefixes == ("ca",)


async def test_a_group_with_addresses_of_two_kinds_is_one_group(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int
) -> None:
    await sql.execute("UPDATE voter SET address = 'ta1x' WHERE voting_power = 30")
    spec = await database.specification(election)
    assert spec.address_prefixes == ("ca", "ta")
    assert spec.groups[0] == VotingGroup("direct", 3, 3, 534)


async def test_a_proposal_without_external_id_is_given_one_that_stays(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int
) -> None:
    await sql.execute("UPDATE proposal SET external_id = NULL")
    names = [
        proposal.external_id
        for objective in (await database.specification(election)).objectives
        for proposal in objective.proposals
    ]
    assert {len(name) for name in names} == {32}
    assert len(set(names)) == 3
    await sql.execute("UPDATE proposal SET title = 'Other'")
    assert names == [
        proposal.external_id
        for objective in (await database.specification(election)).objectives
        for proposal in objective.proposals
    ]


async def test_an_election_that_is_gone_is_said_to_be(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int
) -> None:
    await database.specification(election)
    await sql.execute("DELETE FROM election")
    with pytest.raises(PermanentError) as caught:
        await database.specification(election)
    assert caught.value.reason == "ElectionGone"


async def test_reading_goes_on_when_the_first_caller_loses_patience(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int
) -> None:
    async with sql.transaction():
        await sql.execute("LOCK TABLE voter IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await database.specification(election)
        second = asyncio.create_task(database.specification(election))
        await asyncio.sleep(0)
    assert (await second).groups[0].voters == 3


async def collected(batches: AsyncIterator[list[tuple[str, int]]]) -> list[tuple[str, int]]:
    return [amount async for batch in batches for amount in batch]


async def test_funds_are_whole_units_summed_over_groups_by_voting_key(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int
) -> None:
    assert await collected(database.funds(election, 1)) == [
        ("ca1address1", 507),
        ("ca1address2", 30),
        ("ca1address3", 4),
    ]
    # 500 // 7 + 7 // 7: each group's token is rounded down by itself, and the fund is their sum.
    assert await collected(database.funds(election, 7)) == [("ca1address1", 72), ("ca1address2", 4)]
    assert await collected(database.funds(election, 501)) == []


async def test_tokens_are_whole_units_of_one_group_by_voting_key(database: PostgresDatabase, election: int) -> None:
    assert await collected(database.tokens(election, "direct", 7)) == [("ca1address1", 71), ("ca1address2", 4)]
    assert await collected(database.tokens(election, "rep", 7)) == [("ca1address1", 1)]
    assert await collected(database.tokens(election, "nobody", 1)) == []


async def test_many_voters_come_in_batches_in_order(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int
) -> None:
    numbers = range(100, 12_100)
    await sql.execute("DELETE FROM voter")
    await sql.copy_records_to_table(
        "voter", records=[(election, key(number), "direct", number, f"ca1{number}") for number in reversed(numbers)]
    )
    batches = [batch async for batch in database.funds(election, 1)]
    assert max(map(len, batches)) <= 5000
    assert [amount for batch in batches for amount in batch] == [(f"ca1{number}", number) for number in numbers]


async def test_a_reader_that_leaves_early_gives_its_connection_back(database: PostgresDatabase, election: int) -> None:
    for _ in range(20):
        reader = database.funds(election, 1)
        await anext(reader)
        await reader.aclose()  # type: ignore[attr-defined]  # the port promises an iterator, the adapter a generator
    assert (await database.overview([])).elections
