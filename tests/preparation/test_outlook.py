"""What ``plan`` says of elections: the same dates and sizes as will be built, and what is in their way."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner

from node_fsm.block0.plans import draft_plans
from node_fsm.block0.specification import check_specification
from node_fsm.block0.template import load_template
from node_fsm.chain.address import ed25519_public_key_text
from node_fsm.cli import app
from node_fsm.cli.plan import show
from node_fsm.core.cluster_status import Stage
from node_fsm.core.decryption import DecryptionLimit, DecryptionSpeed
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import NodeRow
from node_fsm.core.phases import Role
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.preparation.outlook import Outlook, outlooks
from node_fsm.settings.model import CommandSettings, packaged_template
from tests.database.test_cluster_status import an_archive
from tests.database.test_reports import REPORT
from tests.database.world import START, add_election, publish, results_of
from tests.support.fakes import FACT

LEADER_ID = ed25519_public_key_text(bytes(32))
SLOW = DecryptionLimit(DecryptionSpeed("jcli", 1, 0.0, 0.0, 100.0, 0.0), 60)


async def look(database: PostgresDatabase, name: str | None = "Fund 1", **settings: object) -> Outlook:
    async def limit() -> DecryptionLimit:
        return SLOW

    (found,) = await outlooks(database.session, CommandSettings(hostname="leader0", **settings), name, limit)
    return found


async def leader0_is_there(database: PostgresDatabase, sql: asyncpg.Connection) -> None:
    await sql.execute("INSERT INTO jorm_nodes VALUES ('leader0', $1)", LEADER_ID)
    await database.report_status(
        replace(
            REPORT,
            phase="Waiting",
            updated_at=datetime.now(UTC),
            role=Role.LEADER0,
            conditions=(),
            height=None,
            holds_chain=False,
        )
    )


async def test_a_sound_election_is_foretold_as_it_will_be_built(
    database: PostgresDatabase, sql: asyncpg.Connection
) -> None:
    election = await add_election(sql)
    await leader0_is_there(database, sql)
    outlook = await look(database)
    template = load_template(packaged_template())
    spec = await database.specification(election)
    checked = check_specification(spec, [NodeRow("leader0", LEADER_ID, None)], template, -60, LEADER_ID)
    assert outlook.problems == ()
    assert outlook.dates == checked.dates
    assert [(plan.voting_group, plan.proposals) for plan in outlook.plans] == [
        (draft.voting_group, len(draft.proposals)) for draft in draft_plans(spec, checked.dates, template)
    ]
    assert [(plan.voters, plan.units, plan.options) for plan in outlook.plans] == [(3, 534, 6), (1, 7, 3)]
    assert [(deadline.name, deadline.at) for deadline in outlook.deadlines] == [
        ("chain_start", START - timedelta(hours=1)),
        ("voting_start", START),
        ("voting_end", START + timedelta(hours=24)),
        ("tallying_end", START + timedelta(hours=48)),
        ("close", START + timedelta(hours=49)),
    ]
    assert (outlook.leader0, outlook.leaders, outlook.voters) == ("leader0", ("leader0",), 4)
    assert outlook.decryption_seconds is None


async def test_private_votes_that_would_take_too_long_are_a_problem_with_their_seconds(
    database: PostgresDatabase, sql: asyncpg.Connection
) -> None:
    await add_election(sql)
    await leader0_is_there(database, sql)
    await sql.execute("UPDATE objective SET payload_type = 'private'")
    outlook = await look(database)
    assert outlook.decryption_seconds is not None
    assert outlook.decryption_seconds > 1000
    assert any("NODE_FSM_MAX_DECRYPT_SECONDS" in problem for problem in outlook.problems)
    assert any("member_public_key" in problem for problem in outlook.problems)


async def test_an_election_whose_times_are_off_the_grid_still_shows_its_times(
    database: PostgresDatabase, sql: asyncpg.Connection
) -> None:
    await add_election(sql, voting_end=START + timedelta(hours=24, seconds=1))
    await leader0_is_there(database, sql)
    outlook = await look(database)
    assert outlook.dates is None
    assert [deadline.name for deadline in outlook.deadlines] == ["voting_start", "voting_end", "tallying_end"]
    assert any("the nearest good times are" in problem for problem in outlook.problems)


@pytest.mark.parametrize(
    ("begins", "problem", "warning"),
    [
        (timedelta(hours=-25), "voting ended at", ""),
        (timedelta(minutes=-5), "voting should have begun at", ""),
        (timedelta(minutes=5), "", "its chain should have begun at"),
    ],
)
async def test_what_is_late_is_told(
    database: PostgresDatabase, sql: asyncpg.Connection, begins: timedelta, problem: str, warning: str
) -> None:
    await add_election(sql, start=(datetime.now(UTC) + begins).replace(microsecond=0))
    await leader0_is_there(database, sql)
    outlook = await look(database)
    assert [said[: len(problem)] for said in outlook.problems] == ([problem] if problem else [])
    assert not warning or outlook.warnings[0].startswith(warning)


async def test_a_block0_that_takes_longer_than_there_is_time_is_a_problem(
    database: PostgresDatabase, sql: asyncpg.Connection
) -> None:
    await add_election(sql)
    await leader0_is_there(database, sql)
    (problem,) = (await look(database, voting_start_offset_minutes=0)).problems
    assert problem.startswith(
        "making block 0 takes about 0.2 s, and there are 0 s for it before voting; set NODE_FSM_VOT"
    )


async def test_what_is_published_is_shown_as_it_was(
    database: PostgresDatabase, sql: asyncpg.Connection, tmp_path: Path
) -> None:
    election = await add_election(sql)
    await leader0_is_there(database, sql)
    publication, _ = await publish(database, election, tmp_path)
    outlook = await look(database)
    assert (outlook.stage, outlook.dates, outlook.block0_bytes) == (
        Stage.PUBLISHED,
        publication.dates,
        publication.size,
    )
    assert [(plan.voting_group, plan.proposals) for plan in outlook.plans] == [("direct", 2), ("rep", 1)]
    await database.post_results(election, publication.hash, results_of(publication), FACT)
    await database.save_archive(an_archive(election, publication.hash), FACT)
    assert (await look(database)).stage is Stage.ARCHIVED


async def test_elections_in_the_way_are_named(database: PostgresDatabase, sql: asyncpg.Connection) -> None:
    await leader0_is_there(database, sql)
    await add_election(sql)
    await add_election(sql, "Fund 2", start=START + timedelta(hours=30))
    await add_election(sql, "Fund 3", start=START + timedelta(hours=40))
    second, third = await look(database, "Fund 2"), await look(database, "Fund 3")
    assert second.problems == ()
    assert any(said.startswith("Fund 1 may be tallied until") for said in second.warnings)
    assert [said[:33] for said in third.problems] == ["people still vote in Fund 2 until"]
    assert (await look(database)).problems == ()


async def test_who_will_be_leader_0_is_whoever_says_so_or_had_the_lease(
    database: PostgresDatabase, sql: asyncpg.Connection
) -> None:
    await add_election(sql)
    assert (await look(database)).leader0 == "leader0"
    await database.acquire_lease("holder", "storage", 600)
    assert (await look(database)).leader0 == "holder"
    await leader0_is_there(database, sql)
    await sql.execute("UPDATE node_status SET hostname = 'told'")
    await sql.execute("INSERT INTO jorm_nodes VALUES ('told', $1)", ed25519_public_key_text(b"\1" * 32))
    assert (await look(database)).leader0 == "told"


def test_what_is_printed_holds_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    show(Outlook("Fund \x1b[2J", Stage.TO_COME, START, problems=("it is \x1b[31mred",)), 80)
    printed = capsys.readouterr().out
    assert "it is \\x1b[31mred" in printed
    assert "Fund \\x1b[2J" in printed


async def test_a_name_that_no_election_has_is_refused(database: PostgresDatabase) -> None:
    with pytest.raises(PermanentError, match="there is no election 'Fund 9'"):
        await look(database, "Fund 9")


def test_the_command_prints_for_people_and_for_programs_and_ends_with_1_for_a_problem(
    database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from tests.importing.files import ELECTION, VOTERS, written

    monkeypatch.setenv("NODE_FSM_DATABASE_URL", database_url)
    monkeypatch.setenv("NODE_FSM_JCLI_PATH", "/nowhere/jcli")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("COLUMNS", "300")
    said = CliRunner().invoke(app, ["plan"])
    assert (said.exit_code, said.stdout) == (0, "no election is to come; `node-fsm election import` writes one\n")
    files = written(tmp_path, "e.yaml", ELECTION.replace("2030-", "2031-")), written(tmp_path, "v.csv", VOTERS)
    imported = CliRunner().invoke(app, ["election", "import", str(files[0]), "--voters", str(files[1])])
    assert imported.exit_code == 0, imported.output
    for arguments in (["plan"], ["plan", "Fund 1"]):
        said = CliRunner().invoke(app, arguments)
        assert said.exit_code == 1
        assert "voting_start  2031-01-01 12:00:00Z" in said.stdout
        assert "jorm_nodes has no leader_id for this node" in said.stdout
        assert "/nowhere/jcli cannot be started" in said.stdout
    (told,) = json.loads(CliRunner().invoke(app, ["plan", "--output", "json"]).stdout)
    assert (told["dates"]["vote_start"], told["plans"][0]["voting_group"]) == ("1.0", "direct")
    assert told["deadlines"]["voting_end"] == "2031-01-02T12:00:00+00:00"
