"""The database refuses rows that make no election, and the refusal names what is wrong."""

from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from tests.database.world import START, add_election, key


@pytest.mark.parametrize(
    ("columns", "constraint"),
    [
        ({"voting_end": START}, "voting_start_is_before_voting_end"),
        ({"tallying_end": START + timedelta(hours=24)}, "voting_end_is_before_tallying_end"),
        ({"voting_start": START + timedelta(milliseconds=1)}, "voting_start_is_whole_seconds"),
        ({"voting_end": START + timedelta(hours=1, milliseconds=1)}, "voting_end_is_whole_seconds"),
        ({"tallying_end": START + timedelta(hours=72, microseconds=1)}, "tallying_end_is_whole_seconds"),
        ({"committee_threshold": -1}, "committee_threshold_is_not_negative"),
        ({"voting_power_unit": 0}, "voting_power_unit_is_positive"),
        ({"name": ""}, "name_is_not_empty"),
        ({"extras": "[]"}, "extras_is_an_object"),
        ({"extras": '{"block0": {"hash": "a"}}'}, "block0_is_whole_or_absent"),
    ],
)
async def test_an_election_that_cannot_be_is_refused(
    sql: asyncpg.Connection, columns: dict[str, Any], constraint: str
) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match=constraint):
        await add_election(sql, **columns)


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE voter SET voting_power = 0", "voting_power_is_positive"),
        ("UPDATE voter SET voting_key = '0x' || voting_key", "voting_key_is_64_lower_case_hex_digits"),
        ("UPDATE proposal SET options = '{}'", "options_are_1_to_16"),
        ("UPDATE proposal SET options = array_fill('x'::text, ARRAY[17])", "options_are_1_to_16"),
        ("UPDATE proposal SET options = ARRAY['a', NULL]", "options_are_not_null"),
        ("UPDATE proposal SET external_id = '\\x00'", "external_id_has_32_bytes"),
        ("UPDATE objective SET payload_type = 'secret'", "payload_type_is_public_or_private"),
        ("UPDATE objective SET voting_group = ''", "voting_group_is_not_empty"),
        ("UPDATE committee SET id = upper(replace(id, '0', 'a'))", "id_is_a_public_key_in_64_lower_case_hex_digits"),
        ("UPDATE committee SET member_index = -1", "member_index_is_not_negative"),
        ("INSERT INTO jorm_nodes VALUES ('leader1', 'ed25519_sk1qqqq')", "leader_id_is_a_bech32_public_key"),
    ],
)
async def test_a_row_that_cannot_be_is_refused(
    sql: asyncpg.Connection, election: int, statement: str, constraint: str
) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match=constraint):
        await sql.execute(statement)


async def test_a_voter_stands_once_in_a_group(sql: asyncpg.Connection, election: int) -> None:
    with pytest.raises(asyncpg.UniqueViolationError, match="voter_pkey"):
        await sql.execute("INSERT INTO voter VALUES ($1, $2, 'direct', 1, 'ca1')", election, key(1))


async def test_an_election_without_chain_can_be_deleted_with_all_that_belongs_to_it(
    sql: asyncpg.Connection, election: int
) -> None:
    await sql.execute("DELETE FROM election")
    left = await sql.fetchrow(
        "SELECT (SELECT count(*) FROM voter), (SELECT count(*) FROM committee), (SELECT count(*) FROM objective),"
        " (SELECT count(*) FROM proposal), (SELECT count(*) FROM election_revision)"
    )
    assert tuple(left) == (0, 0, 0, 0, 0)
