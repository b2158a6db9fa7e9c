"""Why a demo ends before its end."""


class DemoError(Exception):
    """The demo cannot begin or go on; the message is one for the person at the terminal."""
