"""What stands under a name that a person gave is never written over, also when it came there meanwhile."""

from pathlib import Path

import pytest

from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.storage.named_files import write_new


@pytest.mark.parametrize("through_a_link", [False, True])
def test_what_is_there_stays(tmp_path: Path, through_a_link: bool) -> None:
    there = tmp_path / "member.sk"
    there.write_text("the only copy")
    named = tmp_path / "link" if through_a_link else there
    if through_a_link:
        named.symlink_to(there)
    with pytest.raises(PermanentError, match="nothing is written over") as refusal:
        write_new(named, "another")
    assert refusal.value.reason == "FileExists"
    assert there.read_text() == "the only copy"


def test_nothing_is_left_of_a_file_that_could_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(TemporaryError, match="No space left on device"):
        write_new(tmp_path / "member.sk", "a key")
    assert list(tmp_path.iterdir()) == []
