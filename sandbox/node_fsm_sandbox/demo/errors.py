"""Why a demo ends before its end."""


class DemoError(Exception):
    """The demo cannot begin or go on; the message is one for the person at the terminal."""

    exit_code = 1


class UsageError(DemoError):
    """The command line asks for what cannot be."""

    exit_code = 2
