"""The two ways in which work fails, and what the engine does about each."""

import errno
from collections.abc import Sequence


class ServiceError(Exception):
    """A failure with a *reason* (one CamelCase word, a metric label) and a *message* for a person.

    The message names the row, column, setting or file at fault and says what to do.
    """

    def __init__(self, reason: str, message: str) -> None:
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
    if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
        return TemporaryError(
            "DescriptorsExhausted",
            f"{doing} failed, because this process may open no more files and connections; raise its limit"
            " (`ulimit -n`, LimitNOFILE), and see in `lsof` who holds so many open, clients of NODE_FSM_PORT perhaps",
        )
    if isinstance(error, OSError) and error.errno and not isinstance(error, (ConnectionError, TimeoutError)):
        where = f" of {error.filename}" if error.filename else ""
        return TemporaryError(
            "DiskUnusable", f"{doing} failed: {error.strerror}{where}; mend its permissions, space or disk"
        )
    return UnexpectedError("UnexpectedError", f"{doing} failed: {type(error).__name__}: {error}; see the log")
