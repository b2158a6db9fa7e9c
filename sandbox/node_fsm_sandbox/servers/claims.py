"""Temporary directories of the sandbox: each is claimed by who uses it, and what the dead left is removed.

A guard removes its directory when its owner has died. When the guard was killed as well, or the machine fell, nobody
does: so whoever comes next removes the directories that no living process has a claim on. A claim is a lock on a file
in the directory. It is held by each process that has the descriptor: the owner, the guard and the server.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "node-fsm-"
CLAIM = "claim"


def claimed_directory(name: str, parent: Path) -> tuple[Path, int]:
    """A new directory for *name* in *parent*, and the descriptor that claims it; what the dead left there is removed.

    OSError when there can be none.
    """
    remove_leftovers(parent)
    directory = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{name}-", dir=parent))
    try:
        unclaimed = directory / f"{CLAIM}.new"
        descriptor = os.open(unclaimed, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        unclaimed.rename(directory / CLAIM)  # nobody sees it without its lock
    except OSError:
        shutil.rmtree(directory)
        raise
    return directory, descriptor


def remove_leftovers(parent: Path) -> None:
    """Remove the directories in *parent* that were claimed by processes of which none is alive."""
    for claim in parent.glob(f"{PREFIX}*/{CLAIM}"):
        with suppress(OSError), _taken_over(claim) as is_ours:  # else it is in use, or just being removed
            if is_ours:
                shutil.rmtree(claim.parent, ignore_errors=True)


@contextmanager
def _taken_over(claim: Path) -> Iterator[bool]:
    """Hold a claim that nobody holds; whether it was this user's. OSError when somebody holds it."""
    descriptor = os.open(claim, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield os.fstat(descriptor).st_uid == os.geteuid()
    finally:
        os.close(descriptor)
