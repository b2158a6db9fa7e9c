"""What every test may rely on: an environment of its own, a database of its own, the real binaries or a reason."""

import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import boto3
import pytest
import pytest_asyncio
from node_fsm_sandbox.servers.postgres import EmbeddedPostgres

from tests.support.executable import write_executable
from tests.support.polling import HANGING
from tests.support.real import VARIABLES


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database_template(postgres_server: EmbeddedPostgres) -> str:
    """A template without the project's schema: these tests are about the copies."""
    connection = await asyncpg.connect((await postgres_server.create_database("plain")).replace("+asyncpg", ""))
    await connection.execute("CREATE TABLE vote (id int)")
    await connection.close()
    return "plain"


@pytest.mark.parametrize("turn", ["first", "second"])
async def test_each_test_has_a_database_without_the_rows_of_others(database_url: str, turn: str) -> None:
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    assert await connection.fetchval("SELECT count(*) FROM vote") == 0, turn
    await connection.execute("INSERT INTO vote VALUES (1)")
    await connection.close()


def test_a_test_without_a_loop_has_a_database_too(database_url: str) -> None:
    assert database_url.startswith("postgresql+asyncpg://postgres:")


def test_the_environment_has_no_settings_and_no_account_of_the_shell() -> None:
    settings = {name for name in os.environ if name.startswith("NODE_FSM_")}
    assert settings <= set(VARIABLES.values())
    credentials = boto3.session.Session().get_credentials()
    assert credentials is not None
    assert credentials.access_key == "sandbox"


def run_with(tmp_path: Path, **environment: str) -> str:
    """What pytest says of one test on the real jcli in a session of its own."""
    (tmp_path / "test_real.py").write_text("def test_it(real_jcli): assert real_jcli.startswith('/')\n")
    clean = {name: value for name, value in os.environ.items() if name not in VARIABLES.values()}
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.real", "--rootdir", str(tmp_path), str(tmp_path)]
    run = subprocess.run(
        [*command, "-p", "no:cacheprovider", "-o", "addopts="],
        env=clean | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=HANGING,
        check=False,
    )
    return run.stdout


def executable(path: Path, says: str) -> str:
    return str(write_executable(path, f"print({says!r})"))


def test_without_a_real_binary_tests_are_skipped_and_counted(tmp_path: Path) -> None:
    output = run_with(tmp_path, PATH="/nonexistent")
    assert "1 skipped for want of the real jcli or jormungandr" in output


def test_a_stand_in_on_the_path_is_not_taken_for_the_real_one(tmp_path: Path) -> None:
    executable(tmp_path / "jcli", "jcli 0.13.0 (sandbox)")
    output = run_with(tmp_path, PATH=str(tmp_path))
    assert "1 skipped for want of the real jcli or jormungandr" in output


@pytest.mark.parametrize("says", ["jcli 0.13.0 (sandbox)", "jormungandr 0.13.0 (release)", None])
def test_a_wrong_variable_fails_instead_of_skipping(tmp_path: Path, says: str | None) -> None:
    path = executable(tmp_path / "jcli", says) if says else str(tmp_path / "missing")
    output = run_with(tmp_path, NODE_FSM_JCLI_PATH=path)
    assert f"NODE_FSM_JCLI_PATH={path} is not the real jcli" in output
    assert "1 error" in output


def test_the_real_binary_is_taken_from_the_variable_and_its_tests_are_marked(tmp_path: Path) -> None:
    path = executable(tmp_path / "jcli", "jcli 0.13.0 (release)")
    assert "1 passed" in run_with(tmp_path, NODE_FSM_JCLI_PATH=path, PYTEST_ADDOPTS="-m real")
    assert "1 deselected" in run_with(tmp_path, NODE_FSM_JCLI_PATH=path, PYTEST_ADDOPTS="-m 'not real'")
