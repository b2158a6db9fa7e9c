"""The guard: a process that keeps one embedded server and its directory for an owner, and outlives them both.

    python -I guard.py DIRECTORY CLAIM

The directory may also be guarded alone, without a server. CLAIM is a descriptor that says that the directory is in use
as long as a process has it, which the server is given, too.

Standard input is a stream socket. Each line on it is a request ``[method, {argument: value}]`` in JSON, answered by
one line, ``{"result": …}`` or ``{"error": "…"}``. The end of its stream, which the kernel brings about even when the
owner was killed by SIGKILL, means: end the server, remove DIRECTORY, exit.

Why not PR_SET_PDEATHSIG alone: it fires when the *thread* that forked ends, leaves a stopped process stopped, reaches
only the server's first process and removes no files. Here it is the second line, for a guard that is killed itself.
"""

import ctypes
import json
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

END_SECONDS = 20.0
"""How long a server may take to end in order, a last checkpoint included, before it is killed."""

_GONE_SECONDS = 10.0
_REMOVE_SECONDS = 30.0
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
_PR_SET_PDEATHSIG = 1


class Guard:
    """What an owner may ask for; each method is a request."""

    def __init__(self, claim: int) -> None:
        self._claim = claim
        self._process: subprocess.Popen[bytes] | None = None

    def spawn(self, argv: list[str], user: str | None, log: str) -> int:
        """Start *argv* as *user* (None: the guard's own), its output going to the file *log*; its process id."""
        with Path(log).open("wb") as output:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=_ENVIRONMENT,
                user=user,
                group=user and pwd.getpwnam(user).pw_gid,
                extra_groups=None if user is None else [],
                pass_fds=(self._claim,),
                preexec_fn=_follow_parent() if sys.platform == "linux" else None,  # noqa: PLW1509 - no threads here
            )
        return self._process.pid

    def wait(self, timeout: float) -> int | None:
        """Wait up to *timeout* seconds for the end of what was started: its exit code, or None; 0 when nothing was."""
        if self._process is None:
            return 0
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def signal(self, number: int) -> None:
        """Send a signal to the server and to all its descendants; after SIGKILL they are gone on return."""
        assert self._process is not None, "an owner signals only what it started"
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(self._process.pid)
            root.suspend()  # so that it forks nobody while its children are listed
            descendants = root.children(recursive=True)
            for process in [*descendants, root]:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
            if number == signal.SIGKILL:
                _until_gone(descendants)
                self.wait(_GONE_SECONDS)

    def end(self) -> None:
        """SIGINT, which is Postgres' fast shutdown and Python's KeyboardInterrupt; SIGKILL after END_SECONDS."""
        if self._process is None or self.wait(0) is not None:
            return
        self._process.send_signal(signal.SIGINT)
        self.signal(signal.SIGCONT)  # a stopped server could not act on it
        if self.wait(END_SECONDS) is None:
            self.signal(signal.SIGKILL)


def _follow_parent() -> Any:
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def _remove(directory: Path) -> None:
    """Remove a directory in which others of the owner's may still write for a moment: they end as it did."""
    deadline = time.monotonic() + _REMOVE_SECONDS
    while directory.exists():
        try:
            shutil.rmtree(directory)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _until_gone(processes: list[psutil.Process]) -> None:
    deadline = time.monotonic() + _GONE_SECONDS
    while any(map(_lives, processes)) and time.monotonic() < deadline:
        time.sleep(0.005)  # they are not our children, so nothing tells us of their end


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE  # an init that reaps nobody leaves orphans in this state
    except psutil.NoSuchProcess:
        return False


def _answer(guard: Guard, request: str) -> dict[str, Any]:
    method, arguments = json.loads(request)
    try:
        return {"result": getattr(guard, method)(**arguments)}
    except OSError as error:
        return {"error": str(error)}


def main(directory: Path, claim: int) -> None:
    """Serve requests until the owner closes its end, then leave nothing behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # sent to a whole group or service; only the owner's end ends us
    guard = Guard(claim)
    try:
        with suppress(ConnectionError), socket.socket(fileno=0) as control, control.makefile("rw") as channel:
            for request in channel:
                channel.write(json.dumps(_answer(guard, request)) + "\n")
                channel.flush()
    finally:
        guard.end()
        _remove(directory)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
