"""How a command ends that does not succeed: three ways, each with its exit code and its form on standard error."""

import os


class UsageError(Exception):
    """The command line is wrong: *message*, and how it is to be used (None where jcli does not say)."""

    def __init__(self, message: str, usage: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.usage = usage


class CommandError(Exception):
    """A command fails: *message*, and one line for each cause behind it."""

    def __init__(self, message: str, *causes: str) -> None:
        super().__init__(message)
        self.message = message
        self.causes = causes


class PanicError(Exception):
    """What breaks an assertion inside jcli, which ends it with code 101."""


def os_reason(error: OSError) -> str:
    """An operating system's refusal, worded like jcli does."""
    return f"{os.strerror(error.errno or 0)} (os error {error.errno})"
