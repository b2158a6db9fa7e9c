"""One way to print what commands show, and what they end with.

``--output text`` is for people: tables as wide as they must be, and where a terminal is narrower, each row as a block
of lines, so that no identifier is cut or broken. ``--output json`` is for programs, ``--output csv`` for spreadsheets:
the columns that describe a table describe what these print, too.
"""

import csv
import io
import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from node_fsm.cli.times import utc
from node_fsm.core.errors import InvalidInputError, PermanentError, ServiceError
from node_fsm.core.printable import one_line, printable
from node_fsm.settings.errors import SettingsError

_MIN_WRAP = 20
"""Columns of a terminal below which a text is not wrapped any more."""


class ExitCode(IntEnum):
    """What commands end with."""

    OK = 0
    FAILED = 1
    USAGE = 2
    PERSON = 3
    INTERRUPTED = 130


EXIT_CODES: Mapping[ExitCode, str] = {
    ExitCode.OK: "What was asked for is done, and every check is passed.",
    ExitCode.FAILED: "What was to be checked is not as it should be; or something did not answer, or a question was"
    " answered with no. The same command may succeed later.",
    ExitCode.USAGE: "The arguments or the settings are wrong, or a confirmation is missing where nobody can be asked.",
    ExitCode.PERSON: "A person must mend something first, and the message says what. The same command fails again.",
    ExitCode.INTERRUPTED: "Ctrl-C ended it before it was done. What only Ctrl-C ends, like `status --watch`, gives 0.",
}


def exit_code(error: ServiceError) -> ExitCode:
    """What a command ends with that failed with *error*."""
    if isinstance(error, SettingsError):
        return ExitCode.USAGE
    if isinstance(error, PermanentError) and not isinstance(error, InvalidInputError):
        return ExitCode.PERSON
    return ExitCode.FAILED


class Output(StrEnum):
    """The forms of what is no table."""

    TEXT = "text"
    JSON = "json"


class TableOutput(StrEnum):
    """The forms of a table."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"


OutputOption = Annotated[Output, typer.Option("--output", help="Text for people, JSON for programs.")]
TableOption = Annotated[
    TableOutput, typer.Option("--output", help="Text for people, JSON for programs, CSV for spreadsheets.")
]


@dataclass(frozen=True, slots=True)
class Column:
    """A field of each row: *name* in JSON and CSV, *heading* of its column in tables, None where that lacks it.

    *meaning* is what the documentation says of it.
    """

    name: str
    heading: str | None
    meaning: str


def print_table(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], output: TableOutput, *, empty: str
) -> None:
    """Print *rows* as *output* says; in text *empty* says that there are none, and what would make one."""
    if output is TableOutput.JSON:
        print_json([{column.name: row[column.name] for column in columns} for row in rows])
    elif output is TableOutput.CSV:
        print_csv(csv_text(rows, columns))
    else:
        print_rows(rows, columns, empty=empty)


def print_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], *, empty: str) -> None:
    """Print *rows* for people."""
    shown = [column for column in columns if column.heading is not None]
    if not rows:
        say(empty)
        return
    values = [[row[column.name] for column in shown] for row in rows]
    for line in table_lines([str(column.heading) for column in shown], values, terminal_width()):
        typer.echo(line)


def say(words: str, *, err: bool = False) -> None:
    """Print a sentence for people, on standard error if it is none of what was asked for."""
    typer.echo(one_line(words), err=err)


def print_pairs(pairs: Iterable[tuple[str, object]]) -> None:
    """Print names with their values, one below the other."""
    for line in block_lines([(name, text(value)) for name, value in pairs], terminal_width()):
        typer.echo(line)


def print_title(words: str) -> None:
    """Print the title of what follows."""
    typer.echo(title(words))


def title(words: str) -> str:
    """The line above what follows."""
    return typer.style(one_line(words), bold=True)


def print_json(value: object) -> None:
    """Print *value* as JSON: times in ISO 8601, records as objects, control characters escaped."""
    typer.echo(json_text(value, indent=2))


def json_text(value: object, indent: int | None = None) -> str:
    """*value* as JSON, in one line unless *indent* says otherwise."""
    return json.dumps(value, indent=indent, default=_plain)


def print_csv(lines: str) -> None:
    """Print *lines* as they are, but on a terminal, which would obey what is in them."""
    typer.echo(printable(lines) if sys.stdout.isatty() else lines, nl=False, color=True)


def csv_text(rows: Iterable[Mapping[str, Any]], columns: Sequence[Column]) -> str:
    """*rows* as CSV with a line of names; lists and objects are JSON, absent values empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([column.name for column in columns])
    for row in rows:
        writer.writerow([_csv_cell(row[column.name]) for column in columns])
    return stream.getvalue()


def table_lines(headings: Sequence[str], rows: Sequence[Sequence[object]], width: int | None) -> list[str]:
    """The lines of a table; a block for each row where it is wider than *width* (None: however wide)."""
    from rich.cells import cell_len

    texts = [[_in_one_line(text(value)) for value in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(headings, *texts, strict=True)]
    if width is not None and sum(widths) + 2 * (len(widths) - 1) > width:
        blocks = [block_lines(list(zip(headings, row, strict=True)), width) for row in texts]
        return [line for block in blocks for line in ("", *block)][1:]
    numeric = [all(isinstance(value, int) for value in column) for column in zip(*rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padding = [" " * (wide - cell_len(cell)) for cell, wide in zip(cells, widths, strict=True)]
        parts = [pad + cell if right else cell + pad for cell, pad, right in zip(cells, padding, numeric, strict=True)]
        return "  ".join(parts).rstrip()

    return [typer.style(line(headings), bold=True), *map(line, texts)]


def block_lines(pairs: Sequence[tuple[str, str]], width: int | None) -> list[str]:
    """Names with their values, whose words are wrapped at *width*; a word that is longer stays whole."""
    indent = max(len(name) for name, _ in pairs) + 2
    lines = []
    for name, value in pairs:
        parts = value.splitlines() or [""]
        if width is not None and width - indent >= _MIN_WRAP:
            wrapped = (
                textwrap.wrap(part, width - indent, break_long_words=False, break_on_hyphens=False) for part in parts
            )
            parts = [line for part in wrapped for line in part or [""]]
        lines += [f"{'' if number else name:<{indent}}{part}".rstrip() for number, part in enumerate(parts)]
    return lines


def text(value: object) -> str:
    """*value* for people: a dash for nothing, times in UTC, control characters escaped."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return utc(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(text, value)) or "-"
    return printable(str(value))


def terminal_width() -> int | None:
    """How wide lines may be: COLUMNS, or the terminal's width; None where standard output is none."""
    return shutil.get_terminal_size((0, 0)).columns or None


def _in_one_line(value: str) -> str:
    return " ".join(value.split())


def _csv_cell(value: object) -> object:
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return json.dumps(value) if isinstance(value, list | tuple | dict) else value


def _plain(value: object) -> object:
    """What JSON has no form for."""
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
