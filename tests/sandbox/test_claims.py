"""Directories that nobody alive has a claim on are removed by whoever makes the next one."""

import os
import subprocess
import sys
from pathlib import Path

from node_fsm_sandbox.servers.claims import claimed_directory, remove_leftovers


def test_a_directory_is_left_alone_as_long_as_any_process_has_its_claim(tmp_path: Path) -> None:
    directory, claim = claimed_directory("s3", tmp_path)
    (directory / "data").write_text("in use")
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(claim,)) as another:
        os.close(claim)
        remove_leftovers(tmp_path)
        assert (directory / "data").exists()
        another.kill()
    remove_leftovers(tmp_path)
    assert not directory.exists()


def test_making_one_removes_what_the_dead_left(tmp_path: Path) -> None:
    (left, claim), (kept, used) = claimed_directory("demo", tmp_path), claimed_directory("demo", tmp_path)
    os.close(claim)
    new, another = claimed_directory("s3", tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([kept, new])
    assert left not in {kept, new}
    os.close(used)
    os.close(another)


def test_what_was_never_claimed_is_nobodys_business(tmp_path: Path) -> None:
    for name in ("node-fsm-s3-of-before", "something-else"):
        (tmp_path / name).mkdir()
    (tmp_path / "something-else" / "claim").touch()
    (tmp_path / "node-fsm-file").touch()
    remove_leftovers(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_claim_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.touch()
    directory = tmp_path / "node-fsm-s3-trap"
    directory.mkdir()
    (directory / "claim").symlink_to(elsewhere)
    remove_leftovers(tmp_path)
    assert directory.exists()
