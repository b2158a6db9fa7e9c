"""Telling whoever waits how far something is."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Told how much is done of how much, in whatever unit; of 0 when nobody knows. May be called from any thread."""

Stages = Callable[[str], Progress]
"""Told what is being done now, as ``reading voters.csv``; gives what is told how far that is."""


def untold(_: str) -> Progress:
    """The Stages of whoever does not want to know."""
    return lambda _done, _total: None
