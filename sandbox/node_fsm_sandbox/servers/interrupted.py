"""Signals count from the first moment of a program on, though what it imports takes a second."""

import os
import signal
from types import FrameType


def leave_when_signalled() -> None:
    """Have a signal end this process at once, until something else is done about it: nothing was begun yet."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)


def _leave(number: int, _: FrameType | None) -> None:
    os.write(2, f"interrupted by {signal.Signals(number).name}; nothing is left running\n".encode())
    os._exit(128 + number)
