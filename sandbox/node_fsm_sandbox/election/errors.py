"""Why an election that is held here ends before its end."""


class SandboxError(Exception):
    """It cannot begin or go on; the message is one for the person at the terminal."""

    exit_code = 1


class UsageError(SandboxError):
    """What was asked for cannot be."""

    exit_code = 2
