"""``node-fsm config`` and the page that its table goes into."""

import json
from pathlib import Path

import pytest
from loguru import logger
from typer.testing import CliRunner

from node_fsm.cli import app
from node_fsm.settings.describe import settings_table
from node_fsm.settings.model import Settings
from tests.config.test_settings import LEADER0

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A leader 0 with every secret there is."""
    environ = LEADER0 | {
        "AWS_ACCESS_KEY_ID": "hidden-id",
        "AWS_SECRET_ACCESS_KEY": "hidden-key",
        "NODE_FSM_DATABASE_URL": "postgresql://fsm:hidden-password@db:5432/elections?password=hidden-too",
        "NODE_FSM_S3_ENDPOINT_URL": "https://user:hidden-user@s3.example:9000",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return environ


@pytest.mark.usefixtures("environment")
def test_json_has_every_setting_and_no_secret() -> None:
    result = CliRunner().invoke(app, ["config", "--output", "json"])
    assert result.exit_code == 0
    values = json.loads(result.stdout)
    assert list(values) == [Settings.variable(field) for field in Settings.model_fields]
    assert "hidden" not in result.stdout
    assert values["NODE_FSM_DATABASE_URL"] == "postgresql://fsm:***@db:5432/elections?password=***"
    assert values["NODE_FSM_S3_ENDPOINT_URL"] == "https://user:***@s3.example:9000"
    assert (values["AWS_ACCESS_KEY_ID"], values["AWS_SESSION_TOKEN"]) == ("***", None)
    assert (values["NODE_FSM_ROLE"], values["NODE_FSM_PORT"]) == ("leader0", 8000)


@pytest.mark.usefixtures("environment")
def test_the_table_says_what_is_a_default() -> None:
    result = CliRunner().invoke(app, ["config"])
    lines = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert lines["NODE_FSM_ROLE"].split() == ["NODE_FSM_ROLE", "leader0"]
    assert lines["NODE_FSM_PORT"].split() == ["NODE_FSM_PORT", "8000", "(default)"]
    assert "hidden" not in result.stdout


def test_problems_go_to_standard_error(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_FSM_PORT", "x")
    monkeypatch.delenv("NODE_FSM_ROLE")
    result = CliRunner().invoke(app, ["config", "--output", "json"])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert [line.split()[0] for line in result.stderr.splitlines()] == ["NODE_FSM_ROLE", "NODE_FSM_PORT='x':"]
    assert not any(secret in result.output for secret in environment.values() if "hidden" in secret)


def test_the_page_holds_the_table_of_all_settings() -> None:
    assert settings_table() in PAGE.read_text(), "replace the table by what `node-fsm config --markdown` prints"
    assert CliRunner().invoke(app, ["config", "--markdown"]).stdout == settings_table() + "\n"


@pytest.mark.parametrize(
    ("variables", "logged"),
    [
        ({}, []),
        ({"NODE_FSM_LOG_LEVEL": "info"}, ["INFO     said"]),
        ({"NODE_FSM_LOG_LEVEL": "DEBUG", "NODE_FSM_LOG_FORMAT": "json"}, ['"level": "INFO"']),
        ({"NODE_FSM_LOG_LEVEL": "LOUD", "NODE_FSM_LOG_FORMAT": "xml"}, []),
    ],
)
def test_every_command_logs_as_the_settings_say(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], logged: list[str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("node_fsm.cli.table.page", lambda: logger.info("said") or "")
    result = CliRunner().invoke(app, ["table", "--markdown"])
    assert result.exit_code == 0
    assert [part for part in logged if part in result.stderr] == logged
    assert bool(result.stderr) == bool(logged)
