"""The demo as a process of its own, as a person starts it, and all that it ever had running."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

import psutil

from tests.support.polling import HANGING
from tests.support.processes import is_running

_POLL_SECONDS = 0.1


class DemoProcess:
    """``node-fsm demo`` with TMPDIR in *directory*; what it prints goes to a file there."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.temporary = directory / "tmp"
        self.temporary.mkdir()
        self._output = directory / "output"
        self._descendants: dict[int, list[str]] = {}
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [Path(sys.executable).with_name("node-fsm"), "demo", *arguments],
                stdout=output,
                stderr=output,
                env=os.environ | {"TMPDIR": str(self.temporary), "NODE_FSM_ROLE": "nonsense of the caller's"},
            )
        self._watching = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(HANGING)
        self._watching.join()
        print(self.output)  # shown when the test fails

    @property
    def output(self) -> str:
        """What it has printed."""
        return self._output.read_text(errors="replace")

    def wait_for(self, text: str, seconds: float = HANGING) -> None:
        """Wait until it has printed *text*."""
        deadline = time.monotonic() + seconds
        while text not in self.output:
            assert self.process.poll() is None, f"ended with {self.process.returncode} before it printed {text!r}"
            assert time.monotonic() < deadline, f"did not print {text!r} within {seconds} s"
            time.sleep(_POLL_SECONDS)

    def left(self) -> list[str]:
        """The processes and files that it left; to be asked when it has ended."""
        self._watching.join()
        processes = [" ".join(command) for pid, command in self._descendants.items() if is_running(pid)]
        # The directories of the servers, which are not under TMPDIR, are arguments of their guards.
        guarded = [Path(command[-2]) for command in self._descendants.values() if "guard.py" in " ".join(command)]
        return processes + [str(path) for path in (*guarded, *self.temporary.iterdir()) if path.exists()]

    def _watch(self) -> None:
        """Note every descendant for as long as the demo runs."""
        demo = psutil.Process(self.process.pid)
        while self.process.poll() is None:
            try:
                for process in demo.children(recursive=True):
                    # As it is now: between fork and exec it has its parent's command line.
                    self._descendants[process.pid] = process.cmdline() or self._descendants.get(process.pid, [])
            except psutil.Error:
                pass  # one of them ended while it was looked at
            time.sleep(_POLL_SECONDS)
