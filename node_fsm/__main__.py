"""The console script: Ctrl-C ends it quietly from its first moment on, though what it imports takes a while."""

import os
import signal
from types import FrameType


def main() -> None:
    """Run the command line, and end with its exit code."""
    usual = signal.getsignal(signal.SIGINT)
    is_heeded = usual is signal.default_int_handler  # not in a job in the background of a shell
    if is_heeded:
        signal.signal(signal.SIGINT, _leave)
    from node_fsm.cli import app  # noqa: PLC0415 - it is what takes a while

    signal.signal(signal.SIGINT, usual)
    try:
        app()
    finally:
        if is_heeded:
            signal.signal(signal.SIGINT, _leave)


def _leave(number: int, _: FrameType | None) -> None:
    """End at once: nothing was begun yet, or all is done. As an exception it would show where it came up."""
    os._exit(128 + number)


if __name__ == "__main__":
    main()
