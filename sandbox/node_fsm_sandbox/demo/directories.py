"""Where the demo writes: a temporary directory, and what is to be kept in the caller's."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile, gettempdir

from node_fsm_sandbox.election.errors import SandboxError, UsageError
from node_fsm_sandbox.servers.claims import claimed_directory
from node_fsm_sandbox.servers.server import GuardProcess


@dataclass(frozen=True, slots=True)
class Directories:
    """*work* has everything worth keeping: logs, storage, files of the elections, archives."""

    work: Path
    temporary: Path


@contextmanager
def directories(keep: Path | None) -> Iterator[Directories]:
    """Directories to work in; what is not in *keep* is gone afterwards."""
    if keep is not None:
        _make_empty(keep)
    try:
        temporary, claim = claimed_directory("demo", Path(gettempdir()))
        guard = GuardProcess(temporary, claim)  # which removes it also when this process is killed
    except OSError as error:
        raise SandboxError(f"there is no temporary directory to work in: {error.strerror}") from None
    try:
        work = keep.absolute() if keep else temporary / "work"
        work.mkdir(exist_ok=True)
        yield Directories(work, temporary)
    finally:
        guard.end()


def _make_empty(directory: Path) -> None:
    """Make *directory* unless it is there; UsageError when it is not empty or nothing can be written there."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        empty = not any(directory.iterdir())
        TemporaryFile(dir=directory).close()
    except OSError as error:
        raise UsageError(f"{directory} is no directory to keep anything in: {error.strerror}") from None
    if not empty:
        raise UsageError(f"{directory} is not empty: name a new directory, or an empty one, to keep everything in")
