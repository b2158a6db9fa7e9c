"""The way into the demo: signals count from the first moment on, though what it imports takes a second."""

import os
import signal
from pathlib import Path
from types import FrameType


def run(*, report: Path | None, jcli: Path | None, jormungandr: Path | None, keep: Path | None) -> int:
    """Run the demo by the options of its command line; its exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    from node_fsm_sandbox.demo.run import Options, run_demo

    return run_demo(Options(report=report, jcli=jcli, jormungandr=jormungandr, keep=keep))


def _leave(number: int, _: FrameType | None) -> None:
    """End at once: nothing was begun yet."""
    os.write(2, f"interrupted by {signal.Signals(number).name}; nothing is left running\n".encode())
    os._exit(128 + number)
