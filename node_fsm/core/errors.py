"""The two ways in which work fails, and what the engine does about each."""

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
