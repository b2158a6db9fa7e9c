"""The ceremony: keys are made in order, kept in files of their owner's alone, and checked against the database."""

import json
import os
import traceback
from pathlib import Path

import pytest

from node_fsm.chain.address import COMMUNICATION_KEY_PREFIX
from node_fsm.cli.committee import CHECKED
from tests.committee.conftest import Committee, Run, make_keys

OF_ELECTION = ("--election", "Fund 1")


async def test_keys_are_the_owners_alone_and_never_overwritten(run: Run, tmp_path: Path) -> None:
    public_keys = await make_keys(run, tmp_path, "member")
    assert len(set(public_keys)) == 3
    files = sorted(tmp_path.glob("*.sk"))
    before = {file: file.read_bytes() for file in files}
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    for file in files:
        refused = await run("keygen", "--key-file", file)
        assert (refused.exit_code, refused.stderr.startswith("FileExists")) == (3, True)
    assert {file: file.read_bytes() for file in files} == before
    refused = await run("keygen", "--key-file", tmp_path / "none" / "own.sk")
    assert (refused.exit_code, refused.stderr.startswith("DirectoryMissing")) == (3, True)


async def test_the_order_of_the_ceremony_is_kept(run: Run, tmp_path: Path) -> None:
    own = tmp_path / "own.sk"
    mine = (await run("keygen", "--key-file", own)).stdout.strip()
    theirs = (await run("keygen", "--key-file", tmp_path / "theirs.sk")).stdout.strip()
    member = ("keygen", "--key-file", tmp_path / "member.sk")
    with_own = (*member, "--communication-key-file", own)
    for arguments, why in (
        ((*member, mine, theirs), "name the file of your own communication key"),
        (with_own, "give the public communication keys of all members with it"),
        ((*with_own, theirs), "is not among those given"),
        ((*with_own, mine, mine), "number 1 is given twice"),
        ((*with_own, mine, theirs[:-1]), "number 1 is mistyped"),
        ((*with_own, mine, "ristretto255_memberpk1" + theirs), "number 1"),
    ):
        refused = await run(*arguments)
        assert (refused.exit_code, why in refused.stderr) == (2, True), refused.output
    made = await run(*with_own, theirs, mine)
    assert (made.exit_code, "member_index 1 of 2" in made.stderr) == (0, True)
    assert made.stdout.startswith("ristretto255_memberpk1")


async def test_the_help_says_the_order(run: Run) -> None:
    shown = (await run("keygen", "--help")).stdout
    assert shown.index("1. Every member makes a communication key") < shown.index("2. When all have been given")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610])
async def test_a_key_that_others_may_use_is_refused(committee: Committee, mode: int) -> None:
    committee.file(0).chmod(mode)
    for command in ("share", "check"):
        refused = await committee.run(command, *OF_ELECTION, "--key-file", committee.file(0))
        assert (refused.exit_code, f"chmod 600 {committee.file(0)}" in refused.stderr) == (3, True)


async def test_check_recomputes_the_election_key_and_knows_the_member(committee: Committee) -> None:
    early = await committee.run("check", *OF_ELECTION)
    assert (early.exit_code, "not published yet" in early.stderr) == (0, True)
    await committee.publish()
    right = await committee.run("check", *OF_ELECTION, "--key-file", committee.file(2))
    assert right.exit_code == 0, right.output
    assert f"member 2: {committee.public_keys[2]}  (yours)" in right.stdout
    assert f"election key: {committee.election_key}" in right.stdout
    assert "all 2 private plans" in right.stdout
    told = await committee.run("check", *OF_ELECTION, "--key-file", committee.file(2), "--output", "json")
    found = json.loads(told.stdout)
    assert list(found) == [column.name for column in CHECKED]
    assert (found["election_key"], found["plans"]) == (committee.election_key, 2)
    assert [member["yours"] for member in found["members"]] == [False, False, True]


async def test_check_refuses_what_does_not_fit(committee: Committee) -> None:
    others = await make_keys(committee.run, committee.directory, "other")
    foreign = await committee.run("check", *OF_ELECTION, "--key-file", committee.directory / "other1.sk")
    assert (foreign.exit_code, foreign.stderr.startswith("NotAMember")) == (3, True)
    await committee.publish(election_key=await committee.jcli.election_key(others))
    differs = await committee.run("check", *OF_ELECTION)
    assert (differs.exit_code, differs.stderr.startswith("ElectionKeyDiffers")) == (3, True)
    await committee.sql.execute("UPDATE committee SET member_public_key = NULL WHERE member_index = 1")
    incomplete = await committee.run("check", *OF_ELECTION)
    assert (incomplete.exit_code, "member 1" in incomplete.stderr) == (3, True)


@pytest.mark.parametrize("spoil", ["", "two lines", "damaged", "not ascii", "long", "directory", "missing"])
async def test_no_secret_is_repeated_whatever_is_wrong(
    committee: Committee, spoil: str, caplog: pytest.LogCaptureFixture
) -> None:
    await committee.end_voting(publication := await committee.publish())
    secret = committee.file(0).read_text().strip()
    file = committee.directory / "spoilt.sk"
    if spoil == "directory":
        file.mkdir(mode=0o700)
    elif spoil != "missing":
        content = {
            "": secret,
            "two lines": f"{secret}\n{secret}",
            "damaged": secret[:-1],
            "not ascii": f"{secret}\N{EM DASH}",
            "long": secret + " " * 5000,
        }[spoil]
        file.write_text(content)
        file.chmod(0o600)
    done = await committee.run("share", *OF_ELECTION, "--key-file", file)
    assert (done.exit_code == 0) == (spoil == "")
    if spoil:
        assert done.stderr.startswith("KeyFileUnusable"), done.stderr
        assert str(file) in done.stderr
    trace = "".join(traceback.format_exception(*done.exc_info)) if done.exc_info else ""
    rows = str(await committee.sql.fetch("SELECT * FROM decryption_share"))
    for output in (done.output, trace, caplog.text, rows):
        assert secret[30:50] not in output
    assert len(await committee.database.shares(publication.hash)) == (0 if spoil else 2)


async def test_a_key_given_in_place_of_its_file_is_refused_and_not_repeated(committee: Committee) -> None:
    secret = committee.file(0).read_text().strip()
    for arguments in (
        ("share", *OF_ELECTION, "--key-file", secret),
        ("keygen", "--key-file", secret),
        ("keygen", "--key-file", committee.directory / "new.sk", secret),
    ):
        done = await committee.run(*arguments)
        assert done.exit_code in (2, 3)
        assert "known to" in done.stderr
        assert secret[30:50] not in done.output


async def test_keys_reach_jcli_on_standard_input_alone(
    run: Run, committee: Committee, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await committee.end_voting(await committee.publish())
    real, argv, left = os.environ["NODE_FSM_JCLI_PATH"], tmp_path / "argv", tmp_path / "tmp"
    recorder = tmp_path / "recorder"
    recorder.write_text(f'#!/bin/sh\necho "$@" >> {argv}\nenv >> {argv}\nexec {real} "$@"\n')
    recorder.chmod(0o700)
    left.mkdir()
    monkeypatch.setenv("TMPDIR", str(left))
    monkeypatch.setenv("NODE_FSM_JCLI_PATH", str(recorder))
    await make_keys(run, tmp_path, "another")
    done = await run("share", *OF_ELECTION, "--key-file", committee.file(0))
    assert done.exit_code == 0, done.output
    seen = argv.read_text()
    assert COMMUNICATION_KEY_PREFIX in seen
    assert "decryption-shares" in seen
    for file in tmp_path.glob("*.sk"):
        assert file.read_text().strip()[30:50] not in seen + done.output
    assert list(left.iterdir()) == []
