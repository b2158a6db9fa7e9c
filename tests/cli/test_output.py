"""Tables, JSON and CSV as every command prints them."""

import csv
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from node_fsm.cli.output import (
    EXIT_CODES,
    Column,
    ExitCode,
    TableOutput,
    block_lines,
    csv_text,
    exit_code,
    print_json,
    print_table,
    table_lines,
    text,
)
from node_fsm.core.errors import InvalidInputError, PermanentError, TemporaryError
from node_fsm.settings.errors import SettingsError

HASH = "ab" * 32
TIME = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
COLUMNS = (
    Column("name", "election", "The election."),
    Column("votes", "votes", "How many."),
    Column("hash", "block 0", "Its hash."),
    Column("id", None, "Its id."),
)
ROWS: list[dict[str, Any]] = [
    {"name": "Fund 1", "votes": 12345, "hash": HASH, "id": 1},
    {"name": "基金, the second", "votes": 7, "hash": None, "id": 2},
]


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Headings without their style."""
    monkeypatch.setattr("node_fsm.cli.output.typer.style", lambda text, **_: text)


def lines(width: int | None) -> list[str]:
    shown = COLUMNS[:3]
    return table_lines(
        [str(column.heading) for column in shown], [[row[column.name] for column in shown] for row in ROWS], width
    )


def test_a_table_is_aligned_where_there_is_room() -> None:
    expected = [
        "election          votes  block 0",
        f"Fund 1            12345  {HASH}",
        "基金, the second      7  -",
    ]
    assert lines(None) == expected
    assert lines(len(expected[1])) == expected


def test_where_a_table_has_no_room_each_row_is_a_block_and_identifiers_are_whole() -> None:
    assert lines(80) == [
        "election  Fund 1",
        "votes     12345",
        f"block 0   {HASH}",
        "",
        "election  基金, the second",
        "votes     7",
        "block 0   -",
    ]
    assert HASH in "\n".join(lines(30)), "wider than the terminal, and whole all the same"


def test_words_are_wrapped_and_identifiers_are_not() -> None:
    uri = f"s3://archive/{HASH}/final"
    prose = "look at the archive " + uri + " and then decide what to do about it"
    assert block_lines([("what", prose), ("why", "")], 40) == [
        "what  look at the archive",
        f"      {uri}",
        "      and then decide what to do about",
        "      it",
        "why",
    ]
    assert block_lines([("what", prose)], None) == [f"what  {prose}"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        ("", "-"),
        ([], "-"),
        (True, "yes"),
        (0, "0"),
        (TIME, "2030-01-02 03:04:05Z"),
        (["yes", "no"], "yes, no"),
        ("\x1b[31mred", "\\x1b[31mred"),
    ],
)
def test_values_are_shown_to_people(value: object, shown: str) -> None:
    assert text(value) == shown


def test_csv_has_every_column_and_quotes_what_needs_it() -> None:
    rows = [*ROWS, {"name": 'a "b"\nc', "votes": True, "hash": TIME, "id": ["x", 1]}]
    read = list(csv.DictReader(csv_text(rows, COLUMNS).splitlines(keepends=True)))
    assert [row["name"] for row in read] == [row["name"] for row in rows]
    assert list(read[1].values()) == ["基金, the second", "7", "", "2"]
    assert list(read[2].values())[1:] == ["true", "2030-01-02T03:04:05+00:00", '["x", 1]']


@pytest.mark.parametrize(("is_terminal", "printed"), [(True, "\\x1b[2J\n"), (False, "\x1b[2J\n")])
def test_csv_is_as_it_is_but_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, is_terminal: bool, printed: str
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal, raising=False)
    print_table([{"name": "\x1b[2J"}], COLUMNS[:1], TableOutput.CSV, empty="")
    assert capsys.readouterr().out == f"name\n{printed}"


def test_json_has_every_column_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([row | {"internal": 1} for row in ROWS], COLUMNS, TableOutput.JSON, empty="none")
    assert json.loads(capsys.readouterr().out) == ROWS


def test_records_times_and_paths_have_a_form_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    @dataclass
    class Record:
        at: datetime
        file: Path

    print_json([Record(TIME, Path("a/b")), "\x1b"])
    printed = capsys.readouterr().out
    assert json.loads(printed) == [{"at": "2030-01-02T03:04:05+00:00", "file": "a/b"}, "\x1b"]
    assert "\x1b" not in printed
    with pytest.raises(TypeError, match="set has no form"):
        print_json({1})


@pytest.mark.parametrize(
    ("output", "printed"),
    [(TableOutput.TEXT, "there are none\n"), (TableOutput.JSON, "[]\n"), (TableOutput.CSV, "name,votes,hash,id\n")],
)
def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str], output: TableOutput, printed: str) -> None:
    print_table([], COLUMNS, output, empty="there are none")
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError(["NODE_FSM_PORT"]), 2),
        (InvalidInputError("FileRefused", ["line 1"]), 1),
        (TemporaryError("DatabaseUnavailable", "away"), 1),
        (PermanentError("ElectionUnknown", "no such"), 3),
    ],
)
def test_errors_end_with_a_documented_code(error: PermanentError, code: int) -> None:
    assert exit_code(error) == code
    assert set(EXIT_CODES) == set(ExitCode)
