"""Files that stand under their name whole or not at all, and on the disk once they do: how the service writes its own.

A file is written under another name beside its own, brought to the disk, renamed, and the directory brought to the
disk too: without the last, a crash of the machine may take the name back. Directories are 0700, files 0600.
"""

import errno
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from node_fsm.aio.threads import DISK, in_thread
from node_fsm.core.errors import as_service_error

P = ParamSpec("P")
T = TypeVar("T")

_NO_SYNC_OF_DIRECTORIES = {errno.EINVAL, errno.EBADF}
"""How file systems that cannot bring a directory to the disk (some network ones) say so."""


class NewFile:
    """*target* being written: as a context manager it is put in place at the end, and discarded after an exception."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._unfinished = unfinished(target)
        descriptor = os.open(self._unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._stream = os.fdopen(descriptor, "wb")

    def write(self, data: bytes) -> int:
        """Append *data*."""
        return self._stream.write(data)

    def put_in_place(self) -> None:
        """Give it its name, with all that was written on the disk."""
        self._stream.close()
        put_in_place(self._unfinished, self._target)

    def discard(self) -> None:
        """Leave nothing of it; what stood under its name before stays."""
        self._stream.close()
        self._unfinished.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if kind is None:
                self.put_in_place()
        finally:
            self.discard()


@asynccontextmanager
async def new_file(target: Path) -> AsyncIterator[NewFile]:
    """*target* being written by a coroutine, like NewFile as a context manager: a thread waits for the disk."""
    new = NewFile(target)
    try:
        yield new
        await in_thread(DISK, new.put_in_place)
    finally:
        new.discard()


@asynccontextmanager
async def scratch_directory(parent: Path, prefix: str) -> AsyncIterator[Path]:
    """A temporary directory in *parent*; TemporaryError ``DiskUnusable`` when the disk does not do it."""
    scratch = await on_disk(parent, lambda: TemporaryDirectory(dir=parent, prefix=prefix))
    try:
        yield Path(scratch.name)
    finally:
        await on_disk(parent, scratch.cleanup)


async def on_disk(file: Path, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call *function* on a thread; TemporaryError ``DiskUnusable`` naming *file* when the disk does not do it."""
    try:
        return await in_thread(DISK, function, *args, **kwargs)
    except OSError as error:
        raise as_service_error(error, f"the work on {file}") from error


def unfinished(target: Path) -> Path:
    """Where *target*, a file or a directory, is made before it is put in place."""
    return target.with_name(f"{target.name}.partial")


def put_in_place(made: Path, target: Path) -> None:
    """Bring the file *made* to the disk and give it the name *target*, in place of what stood there."""
    _sync(made)
    move(made, target)


def move(source: Path, target: Path) -> None:
    """Rename a file, or a directory to one that is empty or not there; needs no space on the disk."""
    source.rename(target)
    for directory in {source.parent, target.parent}:
        sync_directory(directory)


def write_private(file: Path, data: bytes) -> None:
    """Write *file* whole or not at all, readable by this user alone."""
    with NewFile(file) as new:
        new.write(data)


def copy_private(source: Path, file: Path) -> None:
    """Copy *source* to *file*, whole or not at all, however large it is: the bytes do not pass through this process."""
    made = unfinished(file)
    try:
        made.touch(mode=0o600)
        shutil.copyfile(source, made)
        put_in_place(made, file)
    finally:
        made.unlink(missing_ok=True)


def make_private(directory: Path) -> None:
    """Make *directory* and its missing parents, readable by this user alone."""
    if not directory.is_dir():
        make_private(directory.parent)  # mkdir would make parents without this mode
        directory.mkdir(mode=0o700, exist_ok=True)


def sync_directory(directory: Path) -> None:
    """Bring to the disk which names are in *directory*."""
    try:
        _sync(directory)
    except OSError as error:
        if error.errno not in _NO_SYNC_OF_DIRECTORIES:
            raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
