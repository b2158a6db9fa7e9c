"""Where the demo writes: a temporary directory, and what is to be kept in the caller's."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from node_fsm.sandbox.demo.errors import DemoError


@dataclass(frozen=True, slots=True)
class Directories:
    """*work* has everything worth keeping: logs, storage, files of the elections, archives."""

    work: Path
    temporary: Path


@contextmanager
def directories(keep: Path | None) -> Iterator[Directories]:
    """Directories to work in; what is not in *keep* is gone afterwards."""
    if keep is not None:
        _require_empty(keep)
    with TemporaryDirectory(prefix="node-fsm-demo-") as name:
        temporary = Path(name)
        work = keep.absolute() if keep else temporary / "work"
        work.mkdir(parents=True, exist_ok=True)
        yield Directories(work, temporary)


def require_writable(file: Path) -> None:
    """DemoError when *file* could not be written at the end, which is better known at the beginning."""
    target = file if file.exists() else file.absolute().parent
    if file.is_dir() or not os.access(target, os.W_OK):
        raise DemoError(f"{file} cannot be written")


def _require_empty(directory: Path) -> None:
    try:
        if directory.exists() and any(directory.iterdir()):
            raise DemoError(f"{directory} is not empty: name a new directory, or an empty one, to keep everything in")
    except NotADirectoryError:
        raise DemoError(f"{directory} is no directory") from None
