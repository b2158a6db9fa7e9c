"""docs/commands.md says what the commands say, and what they print as JSON."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from node_fsm.cli import app, documents
from node_fsm.cli.reference import SHOWN, page, walk
from node_fsm.core.cluster_status import ClusterStatus
from node_fsm.preparation.finding import Finding
from node_fsm.preparation.outlook import Outlook

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
ROOT: Any = get_command(app)


def test_the_page_is_up_to_date() -> None:
    stale = "docs/commands.md is stale: write it anew with `node-fsm commands --markdown > docs/commands.md`"
    assert PAGE.read_text() == page(ROOT), stale


def test_the_command_prints_the_page_and_a_list() -> None:
    assert CliRunner().invoke(app, ["commands", "--markdown"]).stdout == page(ROOT)
    listed = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["commands"]).stdout
    assert "\nelection list         List all elections, and how far each of them is.\n" in listed
    assert max(map(len, listed.splitlines())) <= 80


def test_the_page_has_every_command_with_every_option() -> None:
    text = PAGE.read_text()
    for name, command in walk(ROOT):
        section = text.partition(f"# node-fsm {name}\n")[2].partition("\n## ")[0]
        assert section, name
        for parameter in command.params:
            if parameter.param_type_name == "option" and not hasattr(command, "commands"):
                assert parameter.opts[0] in section, f"{name} {parameter.opts}"


def test_whatever_prints_json_says_what_is_in_it() -> None:
    with_output = {name for name, command in walk(ROOT) if any(each.name == "output" for each in command.params)}
    assert set(SHOWN) == with_output


@pytest.mark.parametrize(
    ("described", "record", "added"),
    [
        (documents.STATUS, ClusterStatus, {"problems"}),
        (documents.OUTLOOK, Outlook, set()),
        (documents.FINDING, Finding, set()),
    ],
    ids=["status", "plan", "doctor"],
)
def test_documents_are_described_field_by_field(described: Any, record: Any, added: set[str]) -> None:
    assert {column.name for column in described} == {field.name for field in dataclasses.fields(record)} | added
