"""Files that are there whole or not at all, and on the disk when they are."""

import errno
import os
import stat
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from node_fsm.storage.files import NewFile, copy_private, move, new_file, put_in_place, unfinished, write_private

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, set[str]]]:
    """Each fsync: what was brought to the disk, and, of a directory, the names in it then."""
    calls: list[tuple[str, set[str]]] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        calls.append((path.name, {entry.name for entry in path.iterdir()} if path.is_dir() else set()))
        fsync(descriptor)

    monkeypatch.setattr("node_fsm.storage.files.os.fsync", note)
    return calls


def by_writing(file: Path) -> None:
    write_private(file, b"new")


def by_copying(file: Path) -> None:
    source = file.with_name("source")
    source.write_bytes(b"new")
    copy_private(source, file)
    source.unlink()


def by_another_program(file: Path) -> None:
    unfinished(file).write_bytes(b"new")
    put_in_place(unfinished(file), file)


WAYS = pytest.mark.parametrize("write", [by_writing, by_copying, by_another_program])


@WAYS
def test_the_content_is_on_the_disk_before_the_name_and_the_name_at_the_end(
    tmp_path: Path, write: Callable[[Path], None], synced: list[tuple[str, set[str]]]
) -> None:
    write(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"new"
    (content, _), (directory, names) = synced
    assert (content, directory) == ("file.partial", tmp_path.name)
    assert "file" in names
    assert "file.partial" not in names


def test_both_directories_of_a_move_are_on_the_disk(tmp_path: Path, synced: list[tuple[str, set[str]]]) -> None:
    for name in ("here/chain", "there"):
        (tmp_path / name).mkdir(parents=True)
    move(tmp_path / "here/chain", tmp_path / "there/chain")
    assert sorted(synced) == [("here", set()), ("there", {"chain"})]


@WAYS
def test_a_disk_that_fails_leaves_what_stood_there(
    tmp_path: Path, write: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise FULL

    (tmp_path / "file").write_bytes(b"before")
    with monkeypatch.context() as broken:
        broken.setattr("node_fsm.storage.files.os.fsync", fail)
        with pytest.raises(OSError, match="No space"):
            write(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"before"
    write(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"new"


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EIO])
def test_a_file_system_that_cannot_bring_directories_to_the_disk_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    fsync = os.fsync

    def refuse_directories(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        fsync(descriptor)

    monkeypatch.setattr("node_fsm.storage.files.os.fsync", refuse_directories)
    if code == errno.EIO:
        with pytest.raises(OSError, match="Input/output"):
            write_private(tmp_path / "file", b"new")
        return
    write_private(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_nothing_is_left_of_a_file_whose_writing_failed(tmp_path: Path) -> None:
    with pytest.raises(TypeError), NewFile(tmp_path / "file") as new:
        new.write("no bytes")  # type: ignore[arg-type]  # that is what fails
    assert list(tmp_path.iterdir()) == []


async def test_nor_of_one_that_a_coroutine_wrote(tmp_path: Path) -> None:

    async def fail() -> None:
        async with new_file(tmp_path / "file") as new:
            new.write(b"half")
            raise FULL

    with pytest.raises(OSError, match="No space"):
        await fail()
    assert list(tmp_path.iterdir()) == []
    async with new_file(tmp_path / "file") as new:
        new.write(b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def test_a_large_file_is_copied_in_little_memory(tmp_path: Path) -> None:
    source = tmp_path / "source"
    with source.open("wb") as stream:
        stream.truncate(64 * 2**20)
    tracemalloc.start()
    try:
        copy_private(source, tmp_path / "copy")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "copy").stat().st_size == 64 * 2**20
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o600
    assert peak < 4 * 2**20
