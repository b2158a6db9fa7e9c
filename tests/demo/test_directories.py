"""Where the demo writes, and that only what was asked for stays."""

from pathlib import Path

import pytest
from node_fsm_sandbox.demo.directories import directories
from node_fsm_sandbox.election.errors import SandboxError, UsageError


def test_nothing_stays_when_nothing_is_to_be_kept() -> None:
    with directories(None) as places:
        (places.work / "log").write_text("a line")
    assert not places.temporary.exists()
    assert not places.work.exists()


@pytest.mark.parametrize("exists", [True, False])
def test_what_is_to_be_kept_stays_and_nothing_else(tmp_path: Path, exists: bool) -> None:
    keep = tmp_path / "a" / "b"
    if exists:
        keep.mkdir(parents=True)
    with directories(keep) as places:
        (places.work / "log").write_text("a line")
    assert [path.name for path in keep.iterdir()] == ["log"]
    assert not places.temporary.exists()


def test_a_directory_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(UsageError, match="is not empty"), directories(tmp_path):
        pass
    for path in (tmp_path / "precious", Path("/proc/kept")):
        with pytest.raises(UsageError, match="is no directory to keep anything in: "), directories(path):
            pass


def test_without_a_temporary_directory_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(SandboxError, match="no temporary directory to work in: No such file"), directories(None):
        pass
