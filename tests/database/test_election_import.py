"""Importing: all of an election, or nothing."""

from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from node_fsm.block0.specification import check_specification
from node_fsm.block0.template import Template
from node_fsm.chain.address import account_address
from node_fsm.core.decryption import DecryptionLimit, DecryptionSpeed
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import VotingGroup
from node_fsm.core.payload_type import PayloadType
from node_fsm.core.progress import Progress
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.database.administration import cancel_election
from node_fsm.database.election_import import Imported, import_election
from node_fsm.importing.errors import InputFileError
from tests.database.world import add_election, publish
from tests.importing.files import ELECTION, SHIPPED, VOTERS, chains_as, member_key, parsed, spoiled, written
from tests.support.fakes import FACT


async def do_import(
    database: PostgresDatabase,
    directory: Path,
    text: str = ELECTION,
    voters: str = VOTERS,
    *,
    replace: bool = False,
    template: Template = SHIPPED,
) -> Imported:
    return await import_election(
        database.session,
        parsed(text, template),
        written(directory, "voters.csv", voters),
        replace=replace,
    )


async def test_private_votes_that_would_take_too_long_to_decrypt_are_refused_in_the_words_of_leader_0(
    database: PostgresDatabase, sql: asyncpg.Connection, tmp_path: Path
) -> None:
    limit = DecryptionLimit(DecryptionSpeed("jcli", 1, 0.0, 0.0, 1.0, 0.0), seconds=5)
    seven_units = written(tmp_path, "voters.csv", VOTERS)
    with pytest.raises(InputFileError) as caught:
        await import_election(database.session, parsed(ELECTION), seven_units, replace=False, decryption=limit)
    (problem,) = caught.value.problems
    place, _, words = problem.partition("voting_power_unit ")
    assert place == "election.yaml, line 7, column 20: "
    assert words.startswith("is 10, so that the private votes of up to 7 units on 1 proposals would take about 5 s")
    assert await is_empty(sql)

    slow = replace(limit, seconds=6)
    imported = await import_election(database.session, parsed(ELECTION), seven_units, replace=False, decryption=slow)
    spec = await database.specification(imported.election_id)
    with pytest.raises(PermanentError) as refused:
        check_specification(spec, (), SHIPPED, -60, None, decryption=limit)
    assert f"election.voting_power_unit {words}" in refused.value.message


async def test_an_import_tells_how_far_it_is(database: PostgresDatabase, tmp_path: Path) -> None:
    told: dict[str, list[tuple[int, int]]] = {}

    def stages(title: str) -> Progress:
        steps = told.setdefault(title, [])
        return lambda done, total: steps.append((done, total))

    voters = VOTERS + "".join(f"{number:064x},direct,5000\n" for number in range(1000, 6000))
    file = written(tmp_path, "voters.csv", voters)
    await import_election(database.session, parsed(ELECTION), file, replace=False, stages=stages)
    reading, *later = told
    assert (reading, later) == (f"reading {file}", ["writing the voters", "checking what was written"])
    done = [read for read, _ in told[reading]]
    assert len(done) == 5
    assert done == sorted(done)
    assert {total for _, total in told[reading]} == {len(voters)}
    assert 0 < done[0] <= done[-1] <= len(voters)
    assert [told[title] for title in later] == [[(0, 0)], [(0, 0)]]


async def is_empty(sql: asyncpg.Connection) -> bool:
    return not await sql.fetchval("SELECT EXISTS (SELECT FROM election) OR EXISTS (SELECT FROM voter)")


async def test_what_was_written_down_is_what_is_specified(database: PostgresDatabase, tmp_path: Path) -> None:
    imported = await do_import(database, tmp_path)
    assert (imported.voters, imported.warnings[1:]) == (3, ())
    spec = await database.specification(imported.election_id)
    assert (spec.name, spec.committee_threshold, spec.voting_power_unit) == ("Fund 1", 2, 10)
    assert [(member.id, member.index, member.public_key) for member in spec.committee] == [
        ("ab" * 32, 0, member_key(1)),
        ("cd" * 32, 1, member_key(2)),
    ]
    assert [(objective.title, objective.payload_type, objective.voting_group) for objective in spec.objectives] == [
        ("Roads", PayloadType.PUBLIC, "direct"),
        ("Schools", PayloadType.PRIVATE, "rep"),
    ]
    assert [proposal.options for objective in spec.objectives for proposal in objective.proposals] == [
        ("yes", "no"),
        ("0x12", "2026"),
        ("yes", "no", "null"),
    ]
    assert spec.objectives[0].proposals[1].external_id == b"\xef" * 32
    assert spec.groups == (VotingGroup("direct", 2, 2, 501), VotingGroup("rep", 1, 1, 7))
    assert spec.fund_holders == 2, "one of them in both groups"
    assert [batch async for batch in database.funds(imported.election_id, 10)] == [
        [
            (account_address(b"\x01" * 32, production=True), 507),
            (account_address(b"\x02" * 32, production=True), 1),
        ]
    ]


async def test_the_same_files_make_the_same_election_in_every_database(
    database: PostgresDatabase, sql: asyncpg.Connection, tmp_path: Path
) -> None:
    first = await do_import(database, tmp_path)
    before = await database.specification(first.election_id)
    await sql.execute("DELETE FROM election")
    second = await do_import(database, tmp_path)
    after = await database.specification(second.election_id)
    assert after.id != before.id
    assert after.fingerprint == before.fingerprint
    external_ids = [proposal.external_id for objective in after.objectives for proposal in objective.proposals]
    assert len(set(external_ids)) == 3


async def test_addresses_are_of_the_kind_of_chain_that_the_template_says(
    database: PostgresDatabase, tmp_path: Path
) -> None:
    imported = await do_import(database, tmp_path, template=chains_as(discrimination="test"))
    assert (await database.specification(imported.election_id)).address_prefixes == ("ta",)


async def test_an_existing_name_is_refused(database: PostgresDatabase, sql: asyncpg.Connection, tmp_path: Path) -> None:
    await do_import(database, tmp_path)
    with pytest.raises(PermanentError, match="give --replace") as caught:
        await do_import(database, tmp_path, spoiled(ELECTION, "description:", "description: other"))
    assert caught.value.reason == "ElectionExists"
    assert await sql.fetchval("SELECT description FROM election") == "The first"
    assert await sql.fetchval("SELECT count(*) FROM voter") == 3


async def test_an_election_is_replaced_under_its_id_as_a_whole(
    database: PostgresDatabase, sql: asyncpg.Connection, tmp_path: Path
) -> None:
    first = await do_import(database, tmp_path)
    await cancel_election(database.session, "Fund 1")
    before = await database.specification(first.election_id)
    second = await do_import(
        database,
        tmp_path,
        spoiled(ELECTION, "voting_power_unit:", "voting_power_unit: 1"),
        VOTERS.replace("5000", "6000"),
        replace=True,
    )
    assert second.election_id == first.election_id
    after = await database.specification(first.election_id)
    assert after.revision == before.revision + 1
    assert after.groups == (VotingGroup("direct", 2, 2, 6015), VotingGroup("rep", 1, 1, 70))
    assert len(after.objectives) == 2
    assert await sql.fetchval("SELECT cancelled_at FROM election") is None


async def test_replacing_what_is_not_there_is_importing(database: PostgresDatabase, tmp_path: Path) -> None:
    assert (await do_import(database, tmp_path, replace=True)).voters == 3


async def test_a_published_election_is_not_replaced_until_it_is_withdrawn(
    database: PostgresDatabase, sql: asyncpg.Connection, tmp_path: Path
) -> None:
    imported = await do_import(database, tmp_path)
    publication, _ = await publish(database, imported.election_id, tmp_path)
    for vanish in (False, True):
        if vanish:
            await sql.execute("UPDATE election SET extras = '{}'")
        with pytest.raises(PermanentError, match=f"block 0 {publication.hash} of 'Fund 1' is published") as caught:
            await do_import(database, tmp_path, replace=True)
        assert caught.value.reason == "ElectionPublished"
    assert await sql.fetchval("SELECT count(*) FROM voter") == 3
    await database.withdraw_block0(imported.election_id, publication.hash, publication.generation, FACT)
    assert (await do_import(database, tmp_path, replace=True)).election_id == imported.election_id


async def test_voters_that_stand_twice_in_a_group_are_named_with_their_lines(
    database: PostgresDatabase, sql: asyncpg.Connection, tmp_path: Path
) -> None:
    voters = VOTERS + f"0x{'01' * 32},direct,1\n0x{'0A' * 32},rep,1\n{'0a' * 32},rep,2\n{'01' * 32},direct,1\n"
    with pytest.raises(InputFileError) as caught:
        await do_import(database, tmp_path, voters=voters)
    file, remedy = tmp_path / "voters.csv", "keep one, with the voter's whole power"
    assert caught.value.problems == (
        f"{file}, lines 2 and 5 and 8: the same voting_key {'01' * 32} in group 'direct'; {remedy}",
        f"{file}, lines 6 and 7: the same voting_key {'0a' * 32} in group 'rep'; {remedy}",
    )
    assert await is_empty(sql)


async def test_a_bad_row_after_many_good_ones_leaves_nothing(
    database: PostgresDatabase, sql: asyncpg.Connection, tmp_path: Path
) -> None:
    good = "".join(f"{number:064x},direct,1\n" for number in range(20_000))
    with pytest.raises(InputFileError, match="line 20005, column voting_power"):
        await do_import(database, tmp_path, voters=f"{VOTERS}{good}{'0b' * 32},direct,none\n")
    assert await is_empty(sql)
    assert (await do_import(database, tmp_path)).voters == 3


async def test_elections_that_overlap_are_told(
    database: PostgresDatabase, sql: asyncpg.Connection, tmp_path: Path
) -> None:
    election = parsed(ELECTION).election
    await add_election(sql, "At the same time", start=election.voting_start)
    await add_election(sql, "Cancelled", start=election.voting_start, cancelled_at=election.voting_start)
    await add_election(sql, "After it", start=election.tallying_end)
    imported = await do_import(database, tmp_path)
    overlaps = [warning for warning in imported.warnings if "overlaps" in warning]
    assert len(overlaps) == 1
    assert overlaps[0].startswith("it overlaps with At the same time (2030-01-01T12:00:00+00:00 to ")
