"""The commands on the database, as an operator runs them."""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from node_fsm_sandbox.servers.postgres import EmbeddedPostgres
from typer.testing import CliRunner, Result

from node_fsm.chain.address import ed25519_public_key_text
from node_fsm.cli import app
from node_fsm.core.decryption import DecryptionSpeed
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.database.migrate import upgrade
from node_fsm.settings.model import packaged_template
from tests.database.test_reports import REPORT
from tests.importing.files import ELECTION, VOTERS, spoiled, written

LEADER_ID = ed25519_public_key_text(bytes(32))

Run = Callable[..., Result]


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run node-fsm on the test's database, as the host leader0."""
    monkeypatch.setenv("NODE_FSM_DATABASE_URL", database_url)
    monkeypatch.setenv("NODE_FSM_HOSTNAME", "leader0")
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A good election and its voters."""
    return written(tmp_path, "election.yaml", ELECTION), written(tmp_path, "voters.csv", VOTERS)


def shown(run: Run, name: str | None = None) -> Any:
    result = run("election", *(["list"] if name is None else ["show", name]), "--output", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_an_upgrade_says_what_it_changed(
    run: Run, postgres_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = run("db", "upgrade").stdout
    assert re.fullmatch(r"the database has the schema \d+ of this version already; nothing was changed\n", again)
    url = asyncio.run(postgres_server.create_database("of_an_older_version"))
    asyncio.run(upgrade(url, "0011"))
    monkeypatch.setenv("NODE_FSM_DATABASE_URL", url)
    said = run("db", "upgrade").stdout.splitlines()
    assert said[0].startswith("the database had the schema 0011, and has the schema ")
    assert said[1].startswith("  0012  Leader 0 tells how fast it opens private votes")
    done = json.loads(run("db", "upgrade", "--output", "json").stdout)
    assert (done["applied"], done["broken"], done["before"] == done["after"]) == ([], [], True)
    asyncio.run(postgres_server.drop_database("of_an_older_version"))


def test_a_node_is_added_and_changed(run: Run) -> None:
    for _ in range(2):
        assert run("node", "add", "leader1", "--leader-id", LEADER_ID).stdout == (
            f"leader1 is a leader with the key {LEADER_ID}\n"
        )
    assert run("node", "add", "leader1", "--yes").stdout == (
        f"leader1 is a follower; it was a leader with the key {LEADER_ID}\n"
    )
    assert run("node", "add", "leader1", "--leader-id", LEADER_ID).stdout == (
        f"leader1 is a leader with the key {LEADER_ID}; it was a follower\n"
    )


def test_a_key_of_another_node_is_refused_until_that_one_is_removed(run: Run) -> None:
    run("node", "add", "leader1", "--leader-id", LEADER_ID)
    refused = run("node", "add", "leader2", "--leader-id", LEADER_ID)
    assert refused.exit_code == 3
    assert "node-fsm node remove leader1" in refused.stderr
    removed = run("node", "remove", "leader1", "--yes")
    assert removed.stdout == f"leader1 is removed; it was a leader with the key {LEADER_ID}\n"
    assert run("node", "add", "leader2", "--leader-id", LEADER_ID).exit_code == 0
    gone = run("node", "remove", "leader1")
    assert (gone.exit_code, "there are 'leader2'" in gone.stderr) == (3, True)


def test_a_host_that_only_told_of_itself_is_removed(run: Run, database_url: str) -> None:
    asyncio.run(report_speed(database_url, 1.0))
    assert run("node", "remove", REPORT.hostname).stdout == (
        f"{REPORT.hostname} is removed; jorm_nodes had no row for it\n"
    )
    assert run("node", "remove", REPORT.hostname).exit_code == 3


def test_a_hostname_has_no_white_space(run: Run) -> None:
    assert run("node", "add", "leader1 ").stdout == "leader1 is a follower\n"
    assert run("node", "add", "leader1").stdout == "leader1 is a follower\n", "the same row"
    for hostname in (" ", "leader 1"):
        result = run("node", "add", hostname)
        assert (result.exit_code, "white space" in result.stderr) == (2, True)


@pytest.mark.parametrize("leader_id", ["ed25519_sk1qqqq", "00" * 32, LEADER_ID[:-1]])
def test_what_is_no_public_key_is_no_leader_id(run: Run, leader_id: str) -> None:
    result = run("node", "add", "leader1", "--leader-id", leader_id)
    assert result.exit_code == 2
    assert "--leader-id" in result.stderr
    assert leader_id not in result.stderr


def test_an_election_is_imported_and_shown(run: Run, files: tuple[Path, Path]) -> None:
    election, voters = files
    result = run("election", "import", election, "--voters", voters)
    assert (result.exit_code, result.stdout) == (0, "Fund 1 is election 1, with 3 voters\n")
    [listed] = shown(run)
    assert (listed["name"], listed["voting_start"]) == ("Fund 1", "2030-01-01T12:00:00+00:00")
    whole = shown(run, "Fund 1")
    assert [proposal["title"] for proposal in whole["proposals"]] == ["North", "South", "Town"]
    assert whole["voters"] == [
        {"voting_group": "direct", "voters": 2, "voting_power": 5015},
        {"voting_group": "rep", "voters": 1, "voting_power": 70},
    ]
    assert (whole["plans"], whole["archives"]) == ([], [])
    table = run("election", "show", "Fund 1").stdout
    assert "2030-01-03 12:00:00Z" in table
    assert "Schools" in table
    assert "Fund 1    to come  2030-01-01 12:00:00Z" in run("election", "list").stdout


def test_where_there_is_no_election_the_command_says_so(run: Run) -> None:
    assert run("election", "list").stdout.startswith("there are no elections yet")
    assert shown(run) == []


def test_a_bad_file_is_refused_with_every_fault(run: Run, tmp_path: Path, files: tuple[Path, Path]) -> None:
    bad = written(tmp_path, "bad.yaml", spoiled(spoiled(ELECTION, "name:", ""), "committee_threshold:", ""))
    result = run("election", "import", bad, "--voters", files[1])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"{bad}, line 1, column 1: committee_threshold is missing; add it\n"
        f"{bad}, line 1, column 1: name is missing; add it\n"
    )
    voters = written(tmp_path, "bad.csv", VOTERS + "x,direct,1\n")
    result = run("election", "import", files[0], "--voters", voters)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"{voters}, line 5, column voting_key: must be 32 bytes in hex")
    assert shown(run) == []


def test_what_will_not_start_is_warned_of(run: Run, tmp_path: Path, files: tuple[Path, Path]) -> None:
    late = ELECTION.replace("2030-01-01T12", "2024-01-01T12").replace("Fund 1", "Fund 3")
    warned = run("election", "import", written(tmp_path, "late.yaml", late), "--voters", files[1]).stderr
    assert "voting_start has passed: voting begins late" in warned
    old = written(tmp_path, "old.yaml", ELECTION.replace("2030", "2020").replace("Fund 1", "Fund 0"))
    assert "voting_end has passed" in run("election", "import", old, "--voters", files[1]).stderr
    twin = written(tmp_path, "twin.yaml", ELECTION.replace("Fund 1", "Fund 2"))
    assert "it overlaps with Fund 3 (" in run("election", "import", twin, "--voters", files[1]).stderr


@pytest.mark.parametrize(
    ("offset", "warned"), [("-60", False), (str(-365 * 24 * 60), True)], ids=["an hour before", "a year before"]
)
def test_a_chain_start_that_has_passed_is_warned_of(
    run: Run, tmp_path: Path, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, offset: str, warned: bool
) -> None:
    year = datetime.now(UTC).year + 1
    monkeypatch.setenv("NODE_FSM_VOTING_START_OFFSET_MINUTES", offset)
    soon = written(tmp_path, "soon.yaml", ELECTION.replace("2030-", f"{year}-"))
    said = run("election", "import", soon, "--voters", files[1]).stderr
    place = f"{soon}, line 3, column 15: voting_start is so near that its chain should have begun at"
    assert (place in said) is warned, said


async def report_speed(database_url: str, table_step: float) -> None:
    """Have leader 0 tell its speed."""
    database = PostgresDatabase(database_url)
    speed = DecryptionSpeed("jcli", 1, 0.0, 0.0, table_step, 0.0)
    try:
        await database.report_status(replace(REPORT, decryption_speed=speed))
    finally:
        await database.close()


def test_private_votes_are_measured_by_leader_0_s_speed(
    run: Run, database_url: str, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("election", "import", files[0], "--voters", files[1], "--replace")
    monkeypatch.setenv("NODE_FSM_JCLI_PATH", "/nowhere/jcli")
    said = run(*arguments).stderr
    assert "within NODE_FSM_MAX_DECRYPT_SECONDS is checked by leader 0 only: it has not told yet how fast it is" in said
    assert "/nowhere/jcli cannot be started" in said

    asyncio.run(report_speed(database_url, table_step=1000.0))
    refused = run(*arguments)
    assert refused.exit_code == 1
    assert "line 7, column 20: voting_power_unit is 10, so that the private votes of up to 7 units" in refused.stderr
    monkeypatch.setenv("NODE_FSM_MAX_DECRYPT_SECONDS", "1e4")
    assert "NODE_FSM_MAX_DECRYPT_SECONDS" not in run(*arguments).stderr
    asyncio.run(report_speed(database_url, table_step=0.001))
    monkeypatch.delenv("NODE_FSM_MAX_DECRYPT_SECONDS")
    assert "NODE_FSM_MAX_DECRYPT_SECONDS" not in run(*arguments).stderr


def test_nodes_that_make_no_chain_are_warned_of(run: Run, files: tuple[Path, Path]) -> None:
    arguments = ("election", "import", files[0], "--voters", files[1], "--replace")
    assert "warning: jorm_nodes has no leaders yet; add them with `node-fsm node add" in run(*arguments).stderr
    run("node", "add", "leader0", "--leader-id", LEADER_ID)
    assert "jorm_nodes" not in run(*arguments).stderr


@pytest.mark.parametrize(
    ("file", "replaced", "instead", "said"),
    [
        (
            "election",
            "voting_end: 2030-01-02T14:00:00+02:00",
            "voting_end: 2030-01-02T12:00:03Z",
            (
                "{election}, line 4, column 13: voting_end 2030-01-02 12:00:03+00:00 is not a multiple of slot_duration"
                " (4 s) after voting_start; the nearest good times are 2030-01-02 12:00:00+00:00 and"
            ),
        ),
        (
            "election",
            "voting_power_unit: 10\n",
            "voting_power_unit: 71\n",
            (
                "{election}, line 7, column 20: voting_power_unit is 71, and none of the 1 voters of voting_group 'rep'"
                " holds so much, so that nobody could vote; lower the unit"
            ),
        ),
        (
            "voters",
            "5000",
            str(2**63 - 1),
            "{voters}: has a voting_power of 9223372036854775892 units in all, but a chain holds at most ",
        ),
    ],
)
def test_what_no_chain_can_carry_is_refused(
    run: Run, tmp_path: Path, file: str, replaced: str, instead: str, said: str
) -> None:
    texts = {"election": ELECTION, "voters": VOTERS}
    if file == "voters":
        texts["election"] = ELECTION.replace("voting_power_unit: 10\n", "voting_power_unit: 1\n")
    assert replaced in texts[file]
    texts[file] = texts[file].replace(replaced, instead)
    files = {name: written(tmp_path, name, text) for name, text in texts.items()}
    result = run("election", "import", files["election"], "--voters", files["voters"])
    assert result.exit_code == 1
    assert result.stderr.startswith(said.format(**files))
    assert len(result.stderr.splitlines()) == 1
    assert shown(run) == []


def test_a_block_0_that_cannot_be_published_is_refused(
    run: Run, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node_fsm.block0.genesis.MAX_BLOCK0_SIZE", 1000)
    result = run("election", "import", files[0], "--voters", files[1])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"{files[1]}: has too many for a chain: block 0 would have ")
    assert "raise voting_power_unit" in result.stderr
    assert shown(run) == []


def test_the_template_says_which_addresses_voters_get(run: Run, tmp_path: Path, files: tuple[Path, Path]) -> None:
    template = yaml.safe_load(packaged_template().read_text())
    template["blockchain_configuration"]["discrimination"] = "test"
    file = written(tmp_path, "template.yaml", yaml.safe_dump(template))
    election, voters = files
    assert run("election", "import", election, "--voters", voters, "--template", file).exit_code == 0
    result = run("election", "import", election, "--voters", voters, "--template", tmp_path / "missing.yaml")
    assert result.exit_code == 3
    assert "missing.yaml" in result.stderr


def test_an_election_is_replaced_only_when_told_to(run: Run, files: tuple[Path, Path]) -> None:
    arguments = ("election", "import", files[0], "--voters", files[1])
    assert run(*arguments).exit_code == 0
    assert "give --replace" in run(*arguments).stderr
    assert run(*arguments, "--replace").stdout == "Fund 1 is election 1, with 3 voters\n"


def test_an_election_is_cancelled(run: Run, files: tuple[Path, Path]) -> None:
    run("election", "import", files[0], "--voters", files[1])
    assert run("election", "cancel", "Fund 1").stdout == "Fund 1 is cancelled\n"
    cancelled_at = shown(run, "Fund 1")["cancelled_at"]
    assert cancelled_at
    run("election", "cancel", "Fund 1")
    assert shown(run, "Fund 1")["cancelled_at"] == cancelled_at
    result = run("election", "cancel", "Fund 2")
    assert result.exit_code == 3
    assert "there is no election 'Fund 2'" in result.stderr
    assert run("election", "show", "Fund 2").exit_code == 3


def test_the_lease_is_taken_without_a_question_when_no_other_host_is_in_the_way(run: Run) -> None:
    assert run("lease", "take").stdout == "no other host was in the way\n"
    assert run("lease", "take", "--i-stopped-the-other").stdout == "no other host was in the way\n"


def test_a_missing_url_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NODE_FSM_DATABASE_URL")
    result = run("db", "upgrade")
    assert result.exit_code == 2
    assert "NODE_FSM_DATABASE_URL is not set" in result.stderr


def test_a_database_that_is_away_is_said_without_its_password(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_FSM_DATABASE_URL", "postgresql://me:hunter2@127.0.0.1:1/elections")
    result = run("election", "list")
    assert result.exit_code == 1
    assert result.stderr.startswith("DatabaseUnavailable: ")
    assert "hunter2" not in result.output
