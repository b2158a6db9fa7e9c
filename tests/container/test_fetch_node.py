"""Fetching jcli and jormungandr out of a release archive, as the image's build does it."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from node_fsm_sandbox.servers.server import LOOPBACK, free_port

from tests.container.paths import FETCH_NODE
from tests.container.release import PROGRAMS, write_archive
from tests.support.polling import HANGING


def fetch(url: str, sha256: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run the script."""
    directory.mkdir(exist_ok=True)
    command = [sys.executable, "-IS", str(FETCH_NODE), url, sha256, str(directory)]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANGING, check=False)


def test_the_programs_of_an_archive_are_unpacked_and_nothing_else(served: tuple[Path, str], tmp_path: Path) -> None:
    directory, url = served
    others = {"release/README": b"", "../outside": b"", "release/bin/jcli.md": b""}
    sha256 = write_archive(directory / "release.tar.gz", others | PROGRAMS)
    done = fetch(f"{url}/release.tar.gz", sha256.upper(), tmp_path / "out")
    assert done.returncode == 0, done.stderr
    found = {path.name: (path.read_bytes(), path.stat().st_mode & 0o777) for path in (tmp_path / "out").iterdir()}
    assert found == {"jcli": (b"#!jcli", 0o755), "jormungandr": (b"#!jormungandr", 0o755)}
    assert not (tmp_path / "outside").exists()


def test_another_archive_than_the_one_asked_for_is_refused(served: tuple[Path, str], tmp_path: Path) -> None:
    directory, url = served
    sha256 = write_archive(directory / "release.tar.gz", PROGRAMS)
    done = fetch(f"{url}/release.tar.gz", "0" * 64, tmp_path / "out")
    assert done.returncode == 1
    assert sha256 in done.stderr
    assert "JORMUNGANDR_SHA256 is 0000" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("url", "sha256", "complaint"),
    [
        ("", "", "--build-context node=DIRECTORY"),
        ("https://releases.invalid/a.tar.gz", "", "JORMUNGANDR_SHA256 must be"),
        ("https://releases.invalid/a.tar.gz", "sha256:" + "0" * 64, "JORMUNGANDR_SHA256 must be"),
        ("file:///a.tar.gz", "0" * 64, "is not an http or https URL"),
        (f"http://{LOOPBACK}:NOBODY/a.tar.gz", "0" * 64, "cannot be fetched"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(url: str, sha256: str, complaint: str, tmp_path: Path) -> None:
    done = fetch(url.replace("NOBODY", str(free_port())), sha256, tmp_path)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("files", "complaint"),
    [({"jcli": b""}, "has no jormungandr"), ({}, "has no jcli and no jormungandr"), (None, "is not a tar archive")],
)
def test_an_archive_of_something_else_is_refused(
    files: dict[str, bytes] | None, complaint: str, served: tuple[Path, str], tmp_path: Path
) -> None:
    directory, url = served
    archive = directory / "other.tar.gz"
    if files is None:
        archive.write_bytes(b"no archive at all")
        sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    else:
        sha256 = write_archive(archive, files)
    done = fetch(f"{url}/other.tar.gz", sha256, tmp_path / "out")
    assert done.returncode == 1
    assert complaint in done.stderr
