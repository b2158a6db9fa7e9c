"""One ``node-fsm run`` as a process of its own, which ends soon after the demo does, however the demo ends."""

import asyncio
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from node_fsm.programs import leash
from node_fsm_sandbox.demo.binaries import script
from node_fsm_sandbox.demo.errors import DemoError

STOP_SECONDS = 20.0
"""How long a service may take to stop its node and itself before it is killed."""

_ORPHAN_SECONDS = 15.0
_POLL_SECONDS = 0.1
_LOG_LINES = 15


class ServiceProcess:
    """A service on a leash, in a session of its own, so that Ctrl-C reaches the demo alone."""

    def __init__(self, hostname: str, environment: Mapping[str, str], log: Path) -> None:
        self.hostname = hostname
        self.starts = 0
        self._environment = environment
        self._log = log
        self._wanted = False
        self._leashed: asyncio.subprocess.Process | None = None
        self._holder: socket.socket | None = None
        self._service: psutil.Process | None = None
        self._descendants: list[psutil.Process] = []

    async def start(self) -> None:
        """Start the service; its log goes on where that of an earlier life ended."""
        self._holder, end = socket.socketpair()
        self._holder.setblocking(False)
        with end, self._log.open("ab") as log:
            self._leashed = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", leash.__file__, str(end.fileno()), str(STOP_SECONDS)),
                *(str(script("node-fsm")), "run"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(self._environment),
                pass_fds=(end.fileno(),),
                start_new_session=True,
            )
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._holder, leash.GO)
        announced = await loop.sock_recv(self._holder, 32)
        if not announced:
            raise DemoError(f"the service of {self.hostname} cannot be started:\n{self._tail()}")
        with suppress(psutil.NoSuchProcess):  # then it ended at once, which the watch reports
            self._service = psutil.Process(int(announced))
        self.starts += 1
        self._wanted = True

    async def kill(self) -> None:
        """SIGKILL to the service and to nothing else: that its node ends too is up to the service's own leash."""
        assert self._leashed, "only what was started is killed"
        self._wanted = False
        self._remember_descendants()
        with suppress(psutil.NoSuchProcess):
            if self._service:
                self._service.kill()
        await self._leashed.wait()
        self._let_go()

    async def stop(self) -> int | None:
        """Have the service stop, and wait until nothing of it is left; its exit code, None when it does not run."""
        code = None
        if self._leashed:
            self._wanted = False
            self._remember_descendants()
            self._let_go()
            code = await self._leashed.wait()
            self._leashed = None
        await self._end_orphans()
        return code

    async def watch(self) -> None:
        """Raise DemoError when the service ends by itself; never returns."""
        while True:
            if self._wanted and self._leashed and self._leashed.returncode is not None:
                raise DemoError(
                    f"the service of {self.hostname} ended by itself with code {self._leashed.returncode};"
                    f" the end of its log:\n{self._tail()}"
                )
            await asyncio.sleep(_POLL_SECONDS)

    def _remember_descendants(self) -> None:
        with suppress(psutil.NoSuchProcess):
            if self._service:
                self._descendants += self._service.children(recursive=True)

    def _let_go(self) -> None:
        if self._holder:
            self._holder.close()
            self._holder = None

    async def _end_orphans(self) -> None:
        """Wait for what a killed service left, which the leash of its node ends, and kill it when that fails."""
        deadline = time.monotonic() + _ORPHAN_SECONDS
        while orphans := [process for process in self._descendants if _lives(process)]:
            if time.monotonic() > deadline:
                for process in orphans:
                    process.kill()
            await asyncio.sleep(_POLL_SECONDS)
        self._descendants.clear()

    def _tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-_LOG_LINES:])


def _lives(process: psutil.Process) -> bool:
    """Whether the process is there and not only waits for an init that reaps nobody."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
