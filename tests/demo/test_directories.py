"""Where the demo writes, and that only what was asked for stays."""

from pathlib import Path

import pytest

from node_fsm.sandbox.demo.directories import directories, require_writable
from node_fsm.sandbox.demo.errors import DemoError


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
    with pytest.raises(DemoError, match="is not empty"), directories(tmp_path):
        pass
    with pytest.raises(DemoError, match="is no directory"), directories(tmp_path / "precious"):
        pass


def test_a_report_that_could_not_be_written_is_refused_at_once(tmp_path: Path) -> None:
    require_writable(tmp_path / "report.json")
    assert not any(tmp_path.iterdir())
    for file in (tmp_path, tmp_path / "missing" / "report.json"):
        with pytest.raises(DemoError, match="cannot be written"):
            require_writable(file)
