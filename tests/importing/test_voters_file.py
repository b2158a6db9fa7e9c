"""The voters' CSV: rows as they are, and faults with line and column."""

from pathlib import Path

import pytest

from node_fsm.importing.election_file import MAX_PROBLEMS, InputFileError
from node_fsm.importing.voters_file import VoterRow, read_voters
from tests.importing.files import VOTERS, written

GROUPS = frozenset({"direct", "rep"})
HEADER = "voting_key,voting_group,voting_power\n"
KEY = "01" * 32


def read(directory: Path, text: str, groups: frozenset[str] = GROUPS) -> list[VoterRow]:
    return list(read_voters(written(directory, "voters.csv", text), groups))


def problems(directory: Path, text: str, groups: frozenset[str] = frozenset({"direct"})) -> list[str]:
    with pytest.raises(InputFileError) as caught:
        read(directory, text, groups)
    return [problem.removeprefix(str(directory / "voters.csv")) for problem in caught.value.problems]


def test_rows_come_with_their_lines_and_keys_in_lower_case(tmp_path: Path) -> None:
    assert read(tmp_path, VOTERS.replace("01", "0A")) == [
        VoterRow(2, "0a" * 32, "direct", 5000),
        VoterRow(3, "02" * 32, "direct", 15),
        VoterRow(4, "0a" * 32, "rep", 7),
    ]


def test_columns_may_stand_in_another_order_with_a_byte_order_mark_and_blank_lines(tmp_path: Path) -> None:
    text = f"\ufeffvoting_power, voting_group ,voting_key\r\n\r\n 7 ,rep,{KEY}\r\n8,direct,{KEY}\r\n"
    assert read(tmp_path, text) == [VoterRow(3, KEY, "rep", 7), VoterRow(4, KEY, "direct", 8)]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (f"{KEY},direct,0", ", line 2, column voting_power: '0' is not a whole number from 1 to 9223372036854775807"),
        (f"{KEY},direct,-3", ", line 2, column voting_power: '-3' is not"),
        (f"{KEY},direct,1.5", ", line 2, column voting_power: '1.5' is not"),
        (f"{KEY},direct,", ", line 2, column voting_power: '' is not"),
        (f"{KEY},direct,{2**63}", f", line 2, column voting_power: '{2**63}' is not"),
        (f"{KEY},direct,{'9' * 5000}", ", line 2, column voting_power"),
        (f"{KEY},direct,٣", ", line 2, column voting_power: '٣' is not"),
        (f"{KEY[:-1]},direct,1", ", line 2, column voting_key: must be 32 bytes in hex"),
        (f"{KEY[:-1]}g,direct,1", ", line 2, column voting_key: must be 32 bytes in hex"),
        (f"{KEY},other,1", ", line 2, column voting_group: 'other' is no objective's group (direct)"),
        (f"{KEY},direct", ", line 2: has 2 values, the header has 3"),
        (f"{KEY},direct,1,2", ", line 2: has 4 values, the header has 3"),
        (f'{KEY},"direct"x,1', ", line 2: is not CSV"),
    ],
)
def test_a_bad_row_is_named_with_line_and_column(tmp_path: Path, row: str, problem: str) -> None:
    [said] = problems(tmp_path, f"{HEADER}{row}\n")
    assert said.startswith(problem)


@pytest.mark.parametrize(
    "header", ["", f"{KEY},direct,1", "voting_key,voting_group", "voting_key,voting_key,voting_power"]
)
def test_the_header_must_name_the_columns(tmp_path: Path, header: str) -> None:
    [said] = problems(tmp_path, f"{header}\n{KEY},direct,1\n")
    assert said.startswith(", line 1: the header must name the columns voting_key, voting_group, voting_power")


def test_every_group_that_votes_must_have_a_voter(tmp_path: Path) -> None:
    assert problems(tmp_path, f"{HEADER}{KEY},direct,1\n", GROUPS) == [
        ": has no voters of group 'rep', which an objective is for"
    ]
    assert len(problems(tmp_path, HEADER, GROUPS)) == 2


def test_all_faults_are_named_until_there_are_too_many(tmp_path: Path) -> None:
    said = problems(tmp_path, HEADER + "x,y,z\n" * 1000)
    assert MAX_PROBLEMS <= len(said) < MAX_PROBLEMS + 4
    assert [problem.split(":")[0] for problem in said[:3]] == [
        ", line 2, column voting_key",
        ", line 2, column voting_group",
        ", line 2, column voting_power",
    ]
    assert said[-1] == ": reading stopped here"


def test_a_file_that_is_no_text_or_not_there_is_named(tmp_path: Path) -> None:
    file = tmp_path / "voters.csv"
    file.write_bytes(HEADER.encode() + b"\xff\xfe,direct,1\n")
    with pytest.raises(InputFileError, match="is not UTF-8 text"):
        list(read_voters(file, GROUPS))
    with pytest.raises(InputFileError, match=r"missing\.csv: cannot be read: No such file"):
        list(read_voters(tmp_path / "missing.csv", GROUPS))
