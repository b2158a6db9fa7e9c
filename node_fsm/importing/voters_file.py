"""The voters' CSV: everybody's voting power, row by row, however many rows. Pure but for reading the file."""

import csv
from collections.abc import Collection, Iterator
from io import TextIOWrapper
from itertools import count
from pathlib import Path
from typing import NamedTuple

from node_fsm.core.progress import Progress
from node_fsm.importing.errors import MAX_PROBLEMS, InputFileError
from node_fsm.importing.keys import hex_of_32_bytes
from node_fsm.importing.text_file import ENCODING, not_utf8, refuse_other_kinds, unreadable

COLUMNS = ("voting_key", "voting_group", "voting_power")

_BIGINT = 2**63 - 1
_TOLD_LINES = 1000
_LONGEST_LINE = 10_000


class VoterRow(NamedTuple):
    """A checked row: its line in the file (from 1), the key in lower-case hex."""

    line: int
    voting_key: str
    voting_group: str
    voting_power: int


def read_voters(
    file: Path, voting_groups: Collection[str], progress: Progress = lambda _done, _total: None
) -> Iterator[VoterRow]:
    """The rows of *file*; their groups must be among *voting_groups*, and each of these must have a voter.

    *progress* is told of the bytes that are read. Raises InputFileError at the end, or as soon as MAX_PROBLEMS problems
    were found: use nothing before that.
    """
    problems: list[str] = []
    missing = set(voting_groups)
    try:
        refuse_other_kinds(file)
        with file.open("rb") as raw, TextIOWrapper(raw, encoding=ENCODING, newline="") as stream:
            size = file.stat().st_size
            reader = csv.reader(_lines(stream, file), strict=True)
            places = _places(next(reader, []), file)
            for cells in reader:
                if reader.line_num % _TOLD_LINES == 0:
                    progress(raw.tell(), size)
                if not cells:
                    continue
                faults, row = _checked(cells, places, reader.line_num, voting_groups)
                problems += [f"{file}, line {reader.line_num}{fault}" for fault in faults]
                if row:
                    missing.discard(row.voting_group)
                    yield row
                if len(problems) >= MAX_PROBLEMS:
                    raise InputFileError([*problems, f"{file}: reading stopped here"])
    except OSError as error:
        raise unreadable(file, error) from None
    except UnicodeDecodeError:
        raise InputFileError([*problems, not_utf8(file)]) from None
    except csv.Error as error:
        raise InputFileError([*problems, f"{file}, line {reader.line_num}: is not CSV: {error}"]) from None
    if not problems:
        problems = [f"{file}: has no voters of group {group!r}, which an objective is for" for group in sorted(missing)]
    if problems:
        raise InputFileError(problems)


def _lines(stream: TextIOWrapper, file: Path) -> Iterator[str]:
    """The lines of *stream*, each with its end; InputFileError for one that no voter can be in, before it is read."""
    for number in count(1):
        line = stream.readline(_LONGEST_LINE)
        if len(line) == _LONGEST_LINE:
            raise InputFileError(
                [f"{file}, line {number}: has {_LONGEST_LINE} characters or more; end each voter's line"]
            )
        if not line:
            return
        yield line


def _places(header: list[str], file: Path) -> tuple[int, ...]:
    """Where each of COLUMNS stands."""
    names = [name.strip() for name in header]
    if sorted(names) != sorted(COLUMNS):
        wanted = f"{file}, line 1: the header must name the columns {', '.join(COLUMNS)}"
        if hint := _separator_hint(header):
            raise InputFileError([f"{wanted}, separated by commas; {hint}"])
        if len(names) == len(COLUMNS) and any(character.isdigit() for character in names[-1]):
            raise InputFileError([f"{wanted}, but it is a voter already; add the line {','.join(COLUMNS)} before it"])
        raise InputFileError([f"{wanted}; it is {', '.join(names)!r}"])
    return tuple(names.index(column) for column in COLUMNS)


def _checked(
    cells: list[str], places: tuple[int, ...], line: int, voting_groups: Collection[str]
) -> tuple[list[str], VoterRow | None]:
    """A row's faults, or the row."""
    if len(cells) != len(COLUMNS):
        hint = _separator_hint(cells)
        return [f": has {len(cells)} values, the header has {len(COLUMNS)}" + (f"; {hint}" if hint else "")], None
    key, group, power = (cells[place].strip() for place in places)
    faults = []
    try:
        key = hex_of_32_bytes(key)
    except ValueError as error:
        faults.append(f", column voting_key: {error}")
    if group not in voting_groups:
        groups = ", ".join(sorted(voting_groups))
        faults.append(f", column voting_group: {group!r} is no objective's group ({groups})")
    if not (power.isascii() and power.isdigit() and len(power) <= len(str(_BIGINT)) and 0 < int(power) <= _BIGINT):
        faults.append(f", column voting_power: {power!r} is not a whole number from 1 to {_BIGINT}, in digits alone")
    return faults, None if faults else VoterRow(line, key, group, int(power))


def _separator_hint(cells: list[str]) -> str | None:
    """What to do about a line that other signs than commas seem to separate."""
    for sign, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(cells) == 1 and cells[0].count(sign) == len(COLUMNS) - 1:
            return f"these are {name}: replace them by commas, or export the file with commas"
    return None
