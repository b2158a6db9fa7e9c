"""What of a chain's directory goes into its archive."""

import re
from collections.abc import Sequence
from pathlib import Path

from node_fsm.archive.manifest import is_archived
from node_fsm.archive.tarball import read_file, size_of
from node_fsm.core.errors import PermanentError

_SECRET_KEY = re.compile(rb"ed25519e?_sk1|_vcommsk1|membersk1", re.IGNORECASE)
_LONGEST_MARK = 16


def files_to_archive(directory: Path) -> list[str]:
    """The names of the files of *directory* that are archived, in order; PermanentError when one is none of its own.

    A symbolic link is refused: what it leads to is not the chain's.
    """
    root = directory.resolve()
    names = sorted(
        name
        for pattern in ("*", "*/*", "*/*/*")
        for path in root.glob(pattern)
        if is_archived(name := path.relative_to(root).as_posix())
    )
    for name in names:
        path = root / name
        if path.resolve() != path or not path.is_file():
            raise PermanentError("ArchiveFileRefused", f"{path} is no ordinary file; replace it by one, or remove it")
    return names


def refuse_secrets(directory: Path, names: Sequence[str]) -> None:
    """PermanentError when one of the text files holds a secret key."""
    for name in names:
        if not name.endswith((".bin", ".log")) and _holds_secret_key(directory / name):
            raise PermanentError(
                "ArchiveHoldsSecret",
                f"{directory / name} holds a secret key and nothing was archived; remove the key from it",
            )


def _holds_secret_key(path: Path) -> bool:
    end = b""
    for piece in read_file(path, size_of(path)):
        if _SECRET_KEY.search(end + piece):
            return True
        end = piece[-_LONGEST_MARK:]
    return False
