"""The two ways in which work fails, and what the engine does about each."""

import errno
from collections.abc import Sequence

_DESCRIPTORS = (
    "DescriptorsExhausted",
    "this process may open no more files and connections; raise its limit (`ulimit -n`), or see in `lsof` who has them",
)
_PROCESSES = (
    "ProcessesExhausted",
    "no more processes and threads may be started; raise the limit (`ulimit -u`, TasksMax, pids of the cgroup)",
)
_MEMORY = ("MemoryExhausted", "there is no memory for it; give this machine or its cgroup more")
_SHORTAGES = {
    errno.EMFILE: _DESCRIPTORS,
    errno.ENFILE: _DESCRIPTORS,
    errno.EAGAIN: _PROCESSES,
    errno.ENOMEM: _MEMORY,
}
_DEPTH = 20
"""Causes of an error that are looked at."""

NOT_AS_EXPECTED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading a document raises that is of another shape than it should be: other types, figures beyond all limits,
deeper than Python goes."""


LONGEST_MESSAGE = 10_000
"""Characters of an error's message: what others wrote is repeated in it, and may have millions."""


class ServiceError(Exception):
    """A failure with a *reason* (one CamelCase word, a metric label) and a *message* for a person.

    The message names the row, column, setting or file at fault and says what to do.
    """

    def __init__(self, reason: str, message: str) -> None:
        if len(message) > LONGEST_MESSAGE:
            message = f"{message[:LONGEST_MESSAGE]}…"
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class TemporaryError(ServiceError):
    """The outside world did not answer; the same call may succeed later. Retried with growing delays."""


class PermanentError(ServiceError):
    """Only a person can mend this. Retried slowly, and at once when the database changes."""


class InvalidInputError(PermanentError):
    """What a person wrote has faults: *problems* has a line for each, with its place; the message is all of them."""

    def __init__(self, reason: str, problems: Sequence[str]) -> None:
        super().__init__(reason, "\n".join(problems))
        self.problems = tuple(problems)


class UnexpectedError(TemporaryError):
    """Nobody foresaw this: a defect of the program. Its traceback belongs into the log."""


def as_service_error(error: Exception, doing: str) -> ServiceError:
    """What *error* means to a person; *doing* says what failed, as the subject of a sentence."""
    if isinstance(error, ServiceError):
        return error
    if lacking := shortage(error, doing):
        return lacking
    if isinstance(error, OSError) and error.errno and not isinstance(error, (ConnectionError, TimeoutError)):
        where = f" of {error.filename}" if error.filename else ""
        return TemporaryError(
            "DiskUnusable", f"{doing} failed: {error.strerror}{where}; mend its permissions, space or disk"
        )
    return UnexpectedError("UnexpectedError", f"{doing} failed: {type(error).__name__}: {error}; see the log")


def shortage(error: BaseException, doing: str) -> TemporaryError | None:
    """The error to raise when a lack of descriptors, processes or memory lies behind *error*; else None.

    Libraries wrap what the system said, so that causes are looked at, too.
    """
    cause: BaseException | None = error
    for _ in range(_DEPTH):
        if cause is None:
            break
        if lacking := _lacking(cause):
            reason, what = lacking
            return TemporaryError(reason, f"{doing} failed, because {what}")
        cause = cause.__cause__ or cause.__context__
    return None


def _lacking(error: BaseException) -> tuple[str, str] | None:
    if isinstance(error, OSError) and error.errno is not None:
        return _SHORTAGES.get(error.errno)
    if isinstance(error, MemoryError):
        return _MEMORY
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return _PROCESSES
    return None
