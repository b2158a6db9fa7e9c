"""The voters' CSV: rows as they are, and faults with line and column."""

from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_fsm.chain import bech32
from node_fsm.chain.address import account_address, ed25519_public_key_text
from node_fsm.importing.errors import MAX_PROBLEMS, InputFileError
from node_fsm.importing.keys import hex_of_32_bytes
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
        VoterRow(4, "0a" * 32, "rep", 70),
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


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (f"{HEADER}{KEY},direct,1\n".encode("utf-16"), ": is UTF-16, or no text at all; save it as UTF-8"),
        (f"{HEADER}{KEY},direct,1\n".encode("utf-16-le"), ": is UTF-16, or no text at all; save it as UTF-8"),
        (
            f"{HEADER}{KEY},direct,1\n{KEY},déléguée,1\n".encode("cp1252"),
            f", line 3, column {len(KEY) + 3}: is not UTF-8 text: byte 0xe9, which is 'é' in Windows-1252; save it as",
        ),
        (b"PK\x03\x04whatever", ": is a spreadsheet or an archive, not text; export it as text in UTF-8"),
    ],
)
def test_a_file_in_another_encoding_gets_the_hint_that_mends_it(tmp_path: Path, content: bytes, problem: str) -> None:
    file = tmp_path / "voters.csv"
    file.write_bytes(content)
    with pytest.raises(InputFileError) as caught:
        list(read_voters(file, {"direct", "déléguée"}))
    assert caught.value.problems[-1].startswith(f"{file}{problem}")


def test_a_byte_far_from_the_beginning_is_placed(tmp_path: Path) -> None:
    file = tmp_path / "voters.csv"
    rows = "".join(f"{number:064x},direct,1\n" for number in range(5000))
    file.write_bytes(HEADER.encode() + rows.encode() + b"\xff\n")
    with pytest.raises(InputFileError, match="line 5002, column 1: is not UTF-8 text: byte 0xff"):
        list(read_voters(file, GROUPS))


@pytest.mark.parametrize(("sign", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_other_separators_get_the_hint_that_mends_them(tmp_path: Path, sign: str, name: str) -> None:
    [said] = problems(tmp_path, f"{HEADER}{KEY},direct,1\n".replace(",", sign))
    assert said.startswith(", line 1: the header must name the columns")
    assert f"separated by commas; these are {name}: replace them by commas" in said
    [said] = problems(tmp_path, HEADER + f"{KEY},direct,1\n".replace(",", sign))
    assert said.startswith(f", line 2: has 1 values, the header has 3; these are {name}:")


def test_a_file_that_begins_with_a_voter_lacks_the_header(tmp_path: Path) -> None:
    [said] = problems(tmp_path, f"{KEY},direct,1\n")
    assert said.endswith("but it is a voter already; add the line voting_key,voting_group,voting_power before it")


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        (ed25519_public_key_text(bytes.fromhex(KEY)), f"this is the key in bech32, which is {KEY} in hex"),
        (account_address(bytes.fromhex(KEY), production=True), f"this is the key in bech32, which is {KEY} in hex"),
        (account_address(bytes.fromhex(KEY), production=False), f"this is the key in bech32, which is {KEY} in hex"),
        (
            ed25519_public_key_text(bytes(32))[:-1],
            "this is a mistyped ed25519_pk1…; `jcli key to-bytes` prints",
        ),
        (bech32.encode("ed25519_sk", bytes(32)), "this is a secret key (ed25519_sk1…): give the public one"),
        (bech32.encode("ed25519e_sk", bytes(64)), "this is a secret key (ed25519e_sk1…): give the public one"),
        (bech32.encode("xprv", bytes(96)), "this is a secret key (xprv1…): give the public one"),
        (bech32.encode("stake_test", bytes(29)), "this is a stake_test1… in bech32; give the public key itself"),
        (KEY * 2, "these are 128 digits"),
        ("", "it is empty"),
        ("1.01E+62", "a spreadsheet made a number of it"),
        (f"{KEY[:-1]}o", "the character at place 64 is none"),
    ],
)
def test_a_key_in_another_form_gets_the_hint_that_mends_it(tmp_path: Path, key: str, hint: str) -> None:
    [said] = problems(tmp_path, f"{HEADER}{key},direct,1\n")
    assert said.startswith(", line 2, column voting_key: must be 32 bytes in hex: 64 digits")
    assert hint in said


@given(st.binary(min_size=32, max_size=96), st.sampled_from(["ed25519_sk", "ed25519e_sk", "xprv"]))
def test_a_secret_key_is_not_repeated(secret: bytes, prefix: str) -> None:
    for text in (bech32.encode(prefix, secret), b64encode(secret).decode(), secret.hex() + "00"):
        with pytest.raises(ValueError, match="must be 32 bytes in hex") as caught:
            hex_of_32_bytes(text)
        longest = max(len(part) for part in (prefix, "12345678901"))
        assert not any(text[start : start + longest + 2] in str(caught.value) for start in range(len(text) - longest))


def test_a_file_that_is_no_text_or_not_there_is_named(tmp_path: Path) -> None:
    file = tmp_path / "voters.csv"
    file.write_bytes(HEADER.encode() + b"\xff\xfe,direct,1\n")
    with pytest.raises(InputFileError, match="is not UTF-8 text"):
        list(read_voters(file, GROUPS))
    with pytest.raises(InputFileError, match=r"missing\.csv: cannot be read: No such file"):
        list(read_voters(tmp_path / "missing.csv", GROUPS))
