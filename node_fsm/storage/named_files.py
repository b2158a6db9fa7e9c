"""Files that people name: secret keys as they are read, and what is written beside them and never over anything."""

import os
import re
import stat
from pathlib import Path

from node_fsm.chain import bech32
from node_fsm.core.errors import PermanentError, as_service_error
from node_fsm.core.secret import Secret
from node_fsm.storage.files import sync_directory

_MAX_KEY_SIZE = 4096
_SECRET_KEY = re.compile(r"_[a-z]*sk1[ac-hj-np-z02-9]{20}")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_key(file: Path, prefix: str) -> Secret:
    """The secret key in *file*: one line of bech32 with *prefix*, and nobody but its owner may read the file.

    PermanentError ``KeyFileUnusable`` says what is wrong and repeats nothing of the content.
    """
    _refuse_key_as_name(file)
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
            if mode & _OTHERS:
                raise _unusable(
                    f"{file} may be used by others (its mode is {mode:04o}); if nobody else has read it,"
                    f" `chmod 600 {file}` and try again, else make new keys"
                )
            content = stream.read(_MAX_KEY_SIZE + 1)
    except OSError as error:
        raise _unusable(f"{file} cannot be read: {error.strerror}") from None
    try:
        text = content.decode("ascii").strip()
        if len(content) > _MAX_KEY_SIZE or len(text.split()) != 1:
            raise ValueError
        kind, _ = bech32.decode(text)
    except ValueError:
        raise _unusable(f"{file} does not hold one line with a key ({prefix}1…)") from None
    if kind != prefix:
        raise _unusable(f"{file} holds another kind of text than a key {prefix}1…; it may be the file of another key")
    return Secret(text)


def require_new(file: Path) -> None:
    """PermanentError ``FileExists``, or ``DirectoryMissing``: before work is done that would then be lost."""
    _refuse_key_as_name(file)
    if not file.parent.is_dir():
        raise PermanentError("DirectoryMissing", f"there is no directory {file.parent} for {file.name}; make it first")
    if os.path.lexists(file):
        raise _exists(file)


def write_new(file: Path, content: str) -> None:
    """Write a file that was not there before, readable by this user alone; PermanentError ``FileExists``."""
    _refuse_key_as_name(file)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise _exists(file) from None
    except OSError as error:
        raise as_service_error(error, f"writing {file}") from None
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content.encode())
            stream.flush()
            os.fsync(descriptor)
        sync_directory(file.absolute().parent)
    except BaseException as error:
        file.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise as_service_error(error, f"writing {file}") from None
        raise


def _refuse_key_as_name(file: Path) -> None:
    if _SECRET_KEY.search(str(file)):
        raise _unusable(
            "a secret key was given where the name of its file belongs; command lines are seen by others, so regard"
            " the key as known to them"
        )


def _exists(file: Path) -> PermanentError:
    return PermanentError("FileExists", f"{file} is there already and nothing is written over; name another file")


def _unusable(problem: str) -> PermanentError:
    return PermanentError("KeyFileUnusable", problem)
