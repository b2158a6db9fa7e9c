"""The guard of a test's networks: it removes them once its standard input ends, which also a killed test brings about.

    python -I host_guard.py NUMBER

Whatever still runs on one of the hosts is ended first, then namespaces and switches are removed.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

_COMMAND_SECONDS = 30
_END_SECONDS = 10.0
"""How long what runs on hosts may take to end in order; a service ends its node in this time."""


def main() -> None:
    """Wait for the end of the owner, then remove everything that has its number."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stem = f"nf{int(sys.argv[1])}"
    sys.stdin.read()
    namespaces = [name for name in _listed("netns", "list") if name.startswith(f"{stem}h")]
    _end(namespaces)
    # Links first: with a namespace they go too, but only some time after it, and their names are wanted again.
    for link in _listed("-brief", "link", "show"):
        if link.startswith((f"{stem}h", f"{stem}side", f"{stem}out", f"{stem}control")):
            _ip("link", "delete", link.partition("@")[0])
    for namespace in namespaces:
        _ip("netns", "delete", namespace)


def _end(namespaces: Sequence[str]) -> None:
    """End all processes on hosts: in order as far as they do, with SIGKILL then."""
    for pid in _processes(namespaces):
        _kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _END_SECONDS
    while pids := _processes(namespaces):
        if time.monotonic() >= deadline:
            for pid in pids:
                _kill(pid, signal.SIGKILL)
        time.sleep(0.1)


def _processes(namespaces: Sequence[str]) -> list[int]:
    return [int(pid) for namespace in namespaces for pid in _listed("netns", "pids", namespace)]


def _kill(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _listed(*arguments: str) -> list[str]:
    """The first word of each line that ``ip`` prints."""
    return [line.split()[0] for line in _ip(*arguments).splitlines() if line.strip()]


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False)
    return done.stdout


if __name__ == "__main__":
    main()
