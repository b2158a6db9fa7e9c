"""A service as a cluster keeps it: killed alone, stopped whole, and never left behind."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest
import pytest_asyncio
from node_fsm_sandbox.election import service_process
from node_fsm_sandbox.election.errors import SandboxError
from node_fsm_sandbox.election.service_process import ServiceProcess

from node_fsm.core.phases import Phase
from tests.demo.examples import state
from tests.support.polling import HANGING, eventually
from tests.support.processes import is_running

# Says who it and its child are; the child ends a little after it, as a node on its leash does.
_CHILD = "import os, time\nwhile os.getppid() == {parent}: time.sleep(0.01)\ntime.sleep(0.3)"
_SERVICE = f"""\
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {_CHILD!r}.format(parent=os.getpid())])
print(os.getpid(), child.pid, os.environ["GREETING"], flush=True)
time.sleep(float(os.environ["SECONDS"]))
sys.exit(3)
"""


@pytest_asyncio.fixture
async def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ServiceProcess]:
    """A program in the place of ``node-fsm``."""
    program = tmp_path / "node-fsm"
    program.write_text(f"#!{sys.executable} -IS\n{_SERVICE}")
    program.chmod(0o700)
    monkeypatch.setattr(service_process, "script", lambda name: tmp_path / name)
    process = ServiceProcess("leader1", {"GREETING": "hello", "SECONDS": "60"}, tmp_path / "log", tmp_path)
    yield process
    await process.close()


async def begun(log: Path, lives: int = 1) -> list[tuple[int, int]]:
    """The process ids of the service and its child, in each of its lives."""

    def lines() -> list[list[str]]:
        with suppress(FileNotFoundError):
            return [line.split() for line in log.read_text().splitlines() if line.endswith("hello")]
        return []

    await eventually(lambda: len(lines()) == lives)
    return [(int(own), int(child)) for own, child, _ in lines()]


async def test_stopping_leaves_nothing(service: ServiceProcess, tmp_path: Path) -> None:
    await service.start()
    ((own, child),) = await begun(tmp_path / "log")
    assert await service.stop() == 128 + 15  # it does nothing about SIGTERM
    assert not is_running(own)
    assert not is_running(child)
    assert await service.stop() is None


async def test_a_kill_reaches_the_service_alone_and_it_starts_again(service: ServiceProcess, tmp_path: Path) -> None:
    await service.start()
    ((own, child),) = await begun(tmp_path / "log")
    await service.kill()
    assert not is_running(own)
    assert is_running(child)
    await service.start()
    assert service.starts == 2
    _, (again, second_child) = await begun(tmp_path / "log", lives=2)
    await service.stop()
    assert not any(map(is_running, (child, again, second_child)))


async def test_a_kill_is_not_taken_for_an_end_by_itself(service: ServiceProcess, tmp_path: Path) -> None:
    await service.start()
    watch = asyncio.create_task(service.watch())
    await begun(tmp_path / "log")
    await service.kill()
    await asyncio.sleep(0.3)
    assert not watch.done()
    watch.cancel()


async def test_an_end_by_itself_is_told_with_the_log(tmp_path: Path, service: ServiceProcess) -> None:
    short = ServiceProcess("leader0", {"GREETING": "hello", "SECONDS": "0"}, tmp_path / "log", tmp_path)
    await short.start()
    with pytest.raises(SandboxError, match=r"service of leader0 ended by itself with code 3; .*\n\d+ \d+ hello"):
        await asyncio.wait_for(short.watch(), HANGING)
    await short.close()


async def test_ctrl_c_in_the_terminal_does_not_reach_it(service: ServiceProcess, tmp_path: Path) -> None:
    await service.start()
    ((own, _),) = await begun(tmp_path / "log")
    assert os.getsid(own) != os.getsid(0)
    assert psutil.Process(own).parent() != psutil.Process()  # but the leash's


async def test_it_has_answered_once_it_has_and_has_not_when_it_is_started_again(service: ServiceProcess) -> None:
    body = state(Phase.WAITING).model_dump_json()
    answers = iter((httpx.Response(503), httpx.Response(200, content=body)))
    service.settings |= {"NODE_FSM_HOST": "leader1", "NODE_FSM_PORT": "8000"}
    service._sidecar = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: next(answers)))
    seen = []
    for step in (service.start, service.state, service.state, service.kill, service.start):
        await step()
        seen.append(service.has_answered)
    assert seen == [False, False, True, True, False]
