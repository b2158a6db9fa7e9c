"""One running node: its start on a leash, its output into the log, its stop."""

import asyncio
import os
import signal
import socket
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self, cast

from node_fsm.aio.deadline import deadline
from node_fsm.aio.threads import DISK, in_thread, to_the_end
from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.core.secret import Secret
from node_fsm.log import redact
from node_fsm.node.config import NodeConfig
from node_fsm.node.exit import Remedy, explain
from node_fsm.node.output import Lines, log_error_line, log_line
from node_fsm.node.preflight import wait_until_free
from node_fsm.programs.command import child_environment, filled_pipe
from node_fsm.programs.leashed import begin, on_leash
from node_fsm.storage.files import write_private

_STDOUT, _STDERR = 1, 2
_STDERR_LINES = 20
_START_TIMEOUT = 30.0
_KILL_TIMEOUT = 10.0
_DRAIN_TIMEOUT = 5.0
_INTERVAL = 0.02


@dataclass(frozen=True, slots=True)
class Launch:
    """What a node is started with.

    *config_file* is written; *block0_file* holds block 0, *block0_hash* is what its hash must be. *stop_grace* is how
    many seconds the node has to end by itself before it is killed.
    """

    executable: str
    config: NodeConfig
    config_file: Path
    block0_file: Path
    block0_hash: str
    stop_grace: float


class NodeProcess:
    """A node and the leash that holds it, in a process group of their own.

    The node ends soon after this process does, however that ends. Made by :meth:`start` only.
    """

    def __init__(
        self, leashed: asyncio.SubprocessTransport, output: "_Output", holder: socket.socket, stop_grace: float
    ) -> None:
        self.pid = leashed.get_pid()  # the leash's, until the node has one
        self._leashed = leashed
        self._output = output
        self._holder = holder
        self._stop_grace = stop_grace

    @classmethod
    async def start(cls, launch: Launch, secret: Secret | None) -> Self:
        """Start a node; *secret* is the leader's bech32 signing key, None for a follower.

        The key reaches the node through a pipe on its standard input: it is in no file and no argument.
        Raises as :func:`~node_fsm.node.preflight.wait_until_free` does, PermanentError when the executable cannot be
        started, and OSError when the system refuses something else that a start needs.
        """
        await wait_until_free(launch.config, timeout=launch.stop_grace + _KILL_TIMEOUT)
        await in_thread(DISK, write_private, launch.config_file, launch.config.to_yaml().encode())
        command = [launch.executable, "--config", str(launch.config_file)]
        command += ["--genesis-block", str(launch.block0_file), "--genesis-block-hash", launch.block0_hash]
        if secret:
            command += ["--secret", "/dev/stdin"]
        process = await cls._spawn(command, secret, launch.stop_grace)
        try:
            await process._release()
        except BaseException:  # also when cancelled: nothing is left behind
            await to_the_end(asyncio.create_task(process.stop()))
            raise
        return process

    @classmethod
    async def _spawn(cls, command: list[str], secret: Secret | None, stop_grace: float) -> Self:
        """Start the leash; the command itself waits for :meth:`_release`."""
        holder, end = socket.socketpair()
        holder.setblocking(False)
        stdin = filled_pipe(f"bft:\n  signing_key: {secret.reveal()}\n".encode() if secret else b"")
        try:
            leashed, output = await asyncio.get_running_loop().subprocess_exec(
                _Output,
                *on_leash(end, stop_grace, command),
                stdin=stdin,
                env=child_environment(),
                pass_fds=(end.fileno(),),
                start_new_session=True,
                umask=0o077,
            )
        except BaseException:
            holder.close()
            raise
        finally:
            end.close()
            os.close(stdin)
        return cls(leashed, output, holder, stop_grace)

    async def _release(self) -> None:
        """Let the leash start its command."""
        async with deadline(_START_TIMEOUT, "NodeNotStarted", "the node did not start"):
            pid = await begin(self._holder)
        if pid is None:
            end = explain(await self.wait(), self.stderr)
            if end.remedy is Remedy.RESTART:
                raise TemporaryError(end.reason, end.message)
            said = " ".join(self.stderr)
            raise PermanentError("NodeNotExecutable", f"{said}; set NODE_FSM_JORM_PATH to the path of the executable")
        self.pid = pid

    @property
    def stderr(self) -> tuple[str, ...]:
        """The last lines of the node's standard error."""
        return tuple(self._output.stderr)

    async def wait(self) -> int:
        """Wait until the node has ended and its output is read; its exit code, 128 + n when signal n ended it."""
        await self._output.exited.wait()
        self._holder.close()
        code = cast("int", self._leashed.get_returncode())
        if code < 0:
            await self._end_orphan()
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_TIMEOUT):
                await self._output.closed.wait()
        self._leashed.close()
        return code if code >= 0 else 128 - code

    async def stop(self) -> int:
        """Let go of the leash, which ends the node, and wait until nothing of it is left; its exit code."""
        self._holder.close()
        try:
            async with asyncio.timeout(self._stop_grace + _KILL_TIMEOUT):
                await self._output.exited.wait()
        except TimeoutError:  # the leash does not act: it was stopped, or the machine crawls
            self._signal_group(signal.SIGKILL)
        return await self.wait()

    async def _end_orphan(self) -> None:
        """End a node whose leash was killed: SIGTERM, and SIGKILL when that does not help."""
        loop = asyncio.get_running_loop()
        for number, patience in ((signal.SIGTERM, self._stop_grace), (signal.SIGKILL, _KILL_TIMEOUT)):
            self._signal_group(number)
            deadline = loop.time() + patience
            while self._signal_group(0) and loop.time() < deadline:
                self._reap_orphan()
                await asyncio.sleep(_INTERVAL)

    def _reap_orphan(self) -> None:
        """Orphans become children of the first process of a container, which this may be."""
        with suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)

    def _signal_group(self, number: int) -> bool:
        """Send a signal to the process group; False when nothing is left of it."""
        try:
            os.killpg(self._leashed.get_pid(), number)
        except ProcessLookupError:
            return False
        return True


class _Output(asyncio.SubprocessProtocol):
    """Puts what the node prints into the log, and notes its end; *closed* also waits for its output's."""

    def __init__(self) -> None:
        self.exited = asyncio.Event()
        self.closed = asyncio.Event()
        self.stderr: deque[str] = deque(maxlen=_STDERR_LINES)
        self._lines = {_STDOUT: Lines(), _STDERR: Lines()}

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._log(fd, self._lines[fd].feed(data))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._log(fd, self._lines[fd].end())

    def process_exited(self) -> None:
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()

    def _log(self, fd: int, lines: list[str]) -> None:
        for line in lines:
            if fd == _STDERR:
                self.stderr.append(redact(line))
                log_error_line(line)
            else:
                log_line(line)
