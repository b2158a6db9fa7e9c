"""What the embedded servers have in common: one process under a guard, in a directory of its own."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path
from random import SystemRandom
from types import TracebackType
from typing import Any, ClassVar, Self

from node_fsm_sandbox.servers import guard
from node_fsm_sandbox.servers.claims import claimed_directory

LOOPBACK = "127.0.0.1"

_CALL_SECONDS = 180.0
_WATCH_SECONDS = 0.5
_LOG_LINES = 15
_PORTS = range(20000, 32768)
"""Below the ephemeral ports: none of these is given to an outgoing connection, least of all to a client that tries to
reach a server that is down and would then meet itself, so that a server finds its port free when it comes back."""

_SHUFFLED_PORTS = cycle(SystemRandom().sample(_PORTS, len(_PORTS)))
"""No port comes again before all have come: a port that was given may not be listened on yet."""

# Not under TMPDIR: a socket's path has at most 107 bytes, and the server's user may be another one.
_DISK = Path("/tmp")  # noqa: S108 - only ever the parent of a mkdtemp
_MEMORY = Path("/dev/shm")  # noqa: S108 - as above
_ROOM = 2 * 2**30


class EmbeddedServerError(RuntimeError):
    """An embedded server could not be started, refused something or ended; the message has the end of its log."""


class EmbeddedServer(ABC):
    """A server process on loopback that dies with its owner, however the owner dies.

    The guard process (guard.py) does the forking, so none of this depends on the thread or the event loop at hand:
    one loop may start a server and another stop it. The methods of one server are not meant to overlap.
    """

    name: ClassVar[str]

    def __init__(self, *, in_memory: bool = False) -> None:
        self.port = free_port()
        self._in_memory = in_memory
        self._guard: GuardProcess | None = None
        self._pid: int | None = None

    @property
    def pid(self) -> int:
        """The process id of the server as it was last started."""
        if self._pid is None:
            raise EmbeddedServerError(f"{self.name} was not started")
        return self._pid

    @property
    def directory(self) -> Path:
        """The temporary directory, removed by stop() or after the owner's death."""
        return self._guarded().directory

    async def start(self) -> None:
        """Start the server, after kill() on the same port, and return when it serves."""
        if self._guard is None:
            self._guard = GuardProcess(*self._make_directory())
        elif await self._guard.call("wait", timeout=0) is None:
            raise EmbeddedServerError(f"{self.name} is running already")
        try:
            await self._launch()
        except BaseException:  # nor does a start that was cancelled leave anything behind
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the server in order and remove its directory; a server that was not started is left alone."""
        running, self._guard = self._guard, None
        if running is not None:
            await running.close()

    async def restart(self) -> None:
        """End the server in order and start it again on the same port."""
        await self._guarded().call("end")
        await self.start()

    async def kill(self) -> None:
        """SIGKILL to every process of the server at once; start() brings it back."""
        await self._guarded().call("signal", number=signal.SIGKILL)

    async def pause(self) -> None:
        """SIGSTOP to every process of the server: connections stay open, nothing is answered."""
        await self._guarded().call("signal", number=signal.SIGSTOP)

    async def resume(self) -> None:
        """Let a paused server go on."""
        await self._guarded().call("signal", number=signal.SIGCONT)

    async def watch(self) -> None:
        """Raise EmbeddedServerError when the server ends by itself; never returns."""
        while True:
            code = await self._guarded().call("wait", timeout=0)
            if code is not None:
                raise self._failure(f"ended by itself with exit code {code}")
            await asyncio.sleep(_WATCH_SECONDS)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @abstractmethod
    async def _launch(self) -> None:
        """Spawn the server and wait until it serves."""

    async def _spawn(self, argv: list[str], *, user: str | None = None) -> None:
        """Start *argv* under the guard."""
        self._pid = await self._guarded().call("spawn", argv=argv, user=user, log=str(self._log))

    async def _run(self, argv: list[str], *, user: str | None = None, timeout: float) -> int | None:
        """Run *argv* under the guard to its end: its exit code, or None when it has not ended within *timeout* s."""
        await self._spawn(argv, user=user)
        code: int | None = await self._guarded().call("wait", timeout=timeout)
        return code

    async def _until(self, serving: Callable[[], bool], timeout: float) -> None:
        """Wait until *serving* says so; raises EmbeddedServerError when the server ends or *timeout* s pass first."""
        try:
            async with asyncio.timeout(timeout):
                while not serving():
                    code = await self._guarded().call("wait", timeout=0)
                    if code is not None:
                        raise self._failure(f"ended with exit code {code}")
                    await asyncio.sleep(0.01)
        except TimeoutError as error:
            raise self._failure(f"does not serve after {timeout:g} s") from error

    def _make_directory(self) -> tuple[Path, int]:
        parent = _MEMORY if self._in_memory and _has_room(_MEMORY) else _DISK
        try:
            return claimed_directory(self.name.lower(), parent)
        except OSError as error:
            raise EmbeddedServerError(f"{self.name} gets no directory in {parent}: {error.strerror}") from error

    def _failure(self, what: str) -> EmbeddedServerError:
        log = "\n".join(self._log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
        return EmbeddedServerError(f"{self.name} {what}; the end of its log:\n{log}")

    @property
    def _log(self) -> Path:
        return self.directory / "log"

    def _guarded(self) -> "GuardProcess":
        if self._guard is None:
            raise EmbeddedServerError(f"{self.name} was not started")
        return self._guard


class GuardProcess:
    """The owner's end of a guard process; the directory is gone after close(), or soon after the owner's death.

    *claim* is the descriptor by which the directory is claimed; see :mod:`~node_fsm_sandbox.servers.claims`.
    """

    def __init__(self, directory: Path, claim: int) -> None:
        self.directory = directory
        self._claim = claim
        self._socket, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", str(guard.__file__), str(self.directory), str(claim)],
                    stdin=theirs.fileno(),
                    pass_fds=(claim,),
                    stdout=subprocess.DEVNULL,
                    start_new_session=True,  # out of the reach of Ctrl-C
                )
        except OSError:
            self._socket.close()
            shutil.rmtree(self.directory)
            os.close(claim)
            raise
        self._socket.settimeout(_CALL_SECONDS)
        self._channel = self._socket.makefile("rw")
        self._lock = threading.Lock()

    async def call(self, method: str, **arguments: Any) -> Any:
        """Have the guard do something; a cancelled call is still completed, by its thread."""
        return await asyncio.to_thread(self._call, method, arguments)

    async def close(self) -> None:
        """End the server, remove the directory, end the guard."""
        await asyncio.to_thread(self.end)

    def _call(self, method: str, arguments: dict[str, Any]) -> Any:
        with self._lock:
            try:
                self._channel.write(json.dumps([method, arguments]) + "\n")
                self._channel.flush()
                line = self._channel.readline()
            except OSError as error:
                raise EmbeddedServerError(f"the guard of {self.directory} does not answer: {error}") from error
        if not line:
            raise EmbeddedServerError(f"the guard of {self.directory} is gone")
        answer = json.loads(line)
        if "error" in answer:
            raise EmbeddedServerError(answer["error"])
        return answer["result"]

    def end(self) -> None:
        """The same, without an event loop."""
        with suppress(OSError):  # a guard that is gone already
            self._socket.shutdown(socket.SHUT_RDWR)
        with self._lock:  # a call that was cut short has let go of the channel
            with suppress(OSError):
                self._channel.close()
            self._socket.close()
        code = self._process.wait(_CALL_SECONDS)
        os.close(self._claim)
        if code:
            raise EmbeddedServerError(
                f"the guard of {self.directory} ended with code {code}; remove what it left there"
            )


def free_port() -> int:
    """A loopback TCP port that nobody listens on now, no outgoing connection will take, and no other call was given."""
    for port in islice(_SHUFFLED_PORTS, 100):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((LOOPBACK, port))
            return port
    raise EmbeddedServerError(f"no free port found between {_PORTS.start} and {_PORTS.stop - 1}")


def _has_room(memory: Path) -> bool:
    """Whether it is there, is larger than a container's usually is, and lets programs run."""
    if not memory.is_dir():
        return False
    file_system = os.statvfs(memory)
    return file_system.f_bavail * file_system.f_frsize >= _ROOM and not file_system.f_flag & os.ST_NOEXEC


def server_user() -> str | None:
    """The user to run a server as that refuses to run as root: None unless we are root."""
    return "nobody" if os.geteuid() == 0 else None
