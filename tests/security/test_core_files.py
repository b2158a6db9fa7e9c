"""A core file has all that was in memory, keys too: neither the service nor what it starts leaves one."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from node_fsm_sandbox.election.binaries import script
from node_fsm_sandbox.election.environment import service_environment

from tests.support.executable import write_executable
from tests.support.polling import eventually
from tests.system.conftest import Operator, waiting_operator

__all__ = ["waiting_operator"]  # a fixture

ABORTING = "import os\nos.abort()\n"
ABORTING_JCLI = """\
import os
child = os.fork() or os.abort()
dumped = os.WCOREDUMP(os.waitpid(child, 0)[1])
with open({said!r} + ".new", "w") as file:
    file.write(str(dumped))
os.rename({said!r} + ".new", {said!r})
print("jcli 0.0.0")
"""


def started(command: Sequence[str | Path], directory: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    """A process of *command*, which may leave core files of any size in *directory*."""

    def allow_cores() -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

    output = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=directory, env=environment, preexec_fn=allow_cores, stderr=output)  # noqa: PLW1509


def leaves_a_core(process: "subprocess.Popen[bytes]") -> bool:
    """Whether the process, once it has ended by SIGABRT, has left a core, wherever the kernel puts those."""
    _, status = os.waitpid(process.pid, 0)  # a Popen's own wait() does not tell
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == -signal.SIGABRT
    return os.WCOREDUMP(status)


@pytest.fixture
def _cores_are_written(tmp_path: Path) -> None:
    program = write_executable(tmp_path / "aborting", ABORTING)
    if not leaves_a_core(started([program], tmp_path, {})):
        pytest.skip("this machine writes no core files (ulimit -Hc, or kernel.core_pattern)")


@pytest.mark.usefixtures("_cores_are_written")
async def test_neither_the_service_nor_what_it_starts_leaves_a_core(waiting_operator: Operator, tmp_path: Path) -> None:
    said = tmp_path / "dumped"
    jcli = write_executable(tmp_path / "jcli", ABORTING_JCLI.format(said=str(said)))
    settings = waiting_operator.environment | {"NODE_FSM_JCLI_PATH": str(jcli)}
    environment = service_environment(os.environ, tmp_path, settings)
    with started([sys.executable, script("node-fsm"), "run"], tmp_path, environment) as service:
        try:
            await eventually(said.exists)
            service.send_signal(signal.SIGABRT)
            assert not leaves_a_core(service)
        finally:
            service.kill()
    assert said.read_text() == "False"
