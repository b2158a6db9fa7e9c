"""One ``node-fsm run`` as a process of its own, which ends soon after its owner does, however that ends."""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil

from node_fsm.core.phases import Phase
from node_fsm.programs.leashed import begin, on_leash
from node_fsm.sidecar.answers import HeldCondition, State
from node_fsm_sandbox.election.binaries import script
from node_fsm_sandbox.election.environment import service_environment
from node_fsm_sandbox.election.errors import SandboxError

STOP_SECONDS = 75.0
"""How long a service may take to stop its node and itself before it is killed; it allows itself a minute."""

_ORPHAN_SECONDS = 15.0
_POLL_SECONDS = 0.1
_ANSWER_SECONDS = 5.0
_IDLE_SECONDS = 5.0
_LOG_LINES = 15


class ServiceProcess:
    """A service on a leash, in a session of its own, so that Ctrl-C reaches its owner alone.

    *settings* count at each start; *log* goes on through restarts; temporary files go to *temporary*. *prefix* is a
    command that runs the one behind it by exec, elsewhere than here.
    """

    def __init__(
        self, hostname: str, settings: dict[str, str], log: Path, temporary: Path, *, prefix: Sequence[str] = ()
    ) -> None:
        self.hostname = hostname
        self.settings = settings
        self.log = log
        self.starts = 0
        self.has_answered = False
        """Whether it has, since it was last started, what it was asked by :meth:`state`."""
        self._temporary = temporary
        self._prefix = prefix
        self._sidecar = httpx.AsyncClient(timeout=_ANSWER_SECONDS, trust_env=False)
        self._wanted = False
        self._leashed: asyncio.subprocess.Process | None = None
        self._holder: socket.socket | None = None
        self._service: psutil.Process | None = None
        self._descendants: list[psutil.Process] = []

    async def start(self) -> None:
        """Start the service; its log goes on where that of an earlier life ended."""
        self._holder, end = socket.socketpair()
        self._holder.setblocking(False)
        with end, self.log.open("ab") as log:
            self._leashed = await asyncio.create_subprocess_exec(
                *self._prefix,
                *on_leash(end, STOP_SECONDS, (str(script("node-fsm")), "run")),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=service_environment(os.environ, self._temporary, self.settings),
                pass_fds=(end.fileno(),),
                start_new_session=True,
            )
        pid = await begin(self._holder)
        if pid is None:
            raise SandboxError(f"the service of {self.hostname} cannot be started:\n{self._tail()}")
        with suppress(psutil.NoSuchProcess):  # then it ended at once, which the watch reports
            self._service = psutil.Process(pid)
        self.starts += 1
        self.has_answered = False
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

    async def close(self) -> None:
        """Leave no process and no connection."""
        await self.stop()
        await self._sidecar.aclose()

    async def watch(self) -> None:
        """Raise SandboxError when the service ends by itself; never returns."""
        while True:
            self._check()
            await asyncio.sleep(_POLL_SECONDS)

    async def ended(self) -> int:
        """Wait until the service ends by itself, which is no failure then; its exit code."""
        assert self._leashed, "only what was started ends"
        self._wanted = False
        return await self._leashed.wait()

    @property
    def process(self) -> psutil.Process:
        """The service itself, as it was last started."""
        assert self._service, "only what was started is a process"
        return self._service

    @property
    def restarts(self) -> int:
        """How often the service was started again."""
        return max(0, self.starts - 1)

    async def state(self) -> State | None:
        """What the service says of itself; None while it does not answer."""
        try:
            response = await self._sidecar.get(f"{self._url}/state")
            response.raise_for_status()
        except httpx.HTTPError:
            return None
        self.has_answered = True
        return State.model_validate_json(response.content)

    async def heartbeat(self) -> None:
        """Have the service answer that it lives; httpx.HTTPError when it does not."""
        (await self._sidecar.get(f"{self._url}/heartbeat")).raise_for_status()

    async def metrics(self) -> str:
        """What ``/metrics`` answers."""
        return (await self._sidecar.get(f"{self._url}/metrics")).text

    async def wait_until(self, holds: Callable[[State], bool], seconds: float) -> State:
        """The first state of which *holds* is true; SandboxError when the service ends or *seconds* pass before."""
        state = None
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    self._check()
                    state = await self.state()
                    if state and holds(state):
                        return state
                    await asyncio.sleep(_POLL_SECONDS)
        said = state.model_dump_json(indent=1) if state else "no answer"
        raise SandboxError(f"{self.hostname}: not within {seconds:g} s; its last state: {said}\n{self._tail()}")

    async def wait_for(self, seconds: float, **expected: object) -> State:
        """Wait until the state has these values."""
        return await self.wait_until(
            lambda state: all(getattr(state, name) == value for name, value in expected.items()), seconds
        )

    async def wait_until_idle(self, seconds: float) -> State:
        """Wait until it has been in Waiting for a while: one that has just begun is there until its first look."""

        def is_idle(state: State) -> bool:
            is_waiting = state.phase is Phase.WAITING and state.election is None
            return is_waiting and (datetime.now(UTC) - state.since).total_seconds() >= _IDLE_SECONDS

        return await self.wait_until(is_idle, seconds)

    async def wait_for_condition(self, type_: str, seconds: float) -> HeldCondition:
        """Wait until a condition of this type holds and return it."""
        state = await self.wait_until(lambda state: type_ in {held.type for held in state.conditions}, seconds)
        return next(held for held in state.conditions if held.type == type_)

    @property
    def _url(self) -> str:
        return f"http://{self.settings['NODE_FSM_HOST']}:{self.settings['NODE_FSM_PORT']}"

    def _check(self) -> None:
        if self._wanted and self._leashed and self._leashed.returncode is not None:
            raise SandboxError(
                f"the service of {self.hostname} ended by itself with code {self._leashed.returncode};"
                f" the end of its log:\n{self._tail()}"
            )

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
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LOG_LINES:])


def _lives(process: psutil.Process) -> bool:
    """Whether the process is there and not only waits for an init that reaps nobody."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
