"""Ctrl-C ends a command quietly from its first moment on, also while it imports."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from node_fsm.cli.output import ExitCode
from tests.support.polling import HANGING

Interrupted = Callable[..., tuple[int, str]]

PROGRAMS = Path(sys.executable).parent


AT_AN_IMPORT = """
import os, signal, sys

class Interrupter:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupter())
"""
"""A sitecustomize.py that sends SIGINT as a module begins to be imported: from outside that may come too late."""


@pytest.fixture
def interrupted(tmp_path: Path) -> Interrupted:
    """The exit code and the standard error of a program that is sent SIGINT as it imports the module *at*."""

    def run(program: str, *arguments: str, at: str) -> tuple[int, str]:
        (tmp_path / "sitecustomize.py").write_text(AT_AN_IMPORT.format(name=at))
        environment = {
            "PATH": os.defpath,
            "PYTHONPATH": str(tmp_path),
            "NODE_FSM_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        }
        command = [str(PROGRAMS / program), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=HANGING, check=False)
        return done.returncode, done.stderr

    return run


@pytest.mark.parametrize("command", [["run"], ["status"], ["table"]], ids=" ".join)
@pytest.mark.parametrize("module", ["typer.exceptions", "node_fsm.cli.output", "node_fsm.cli.verify", "loguru"])
def test_while_any_command_begins(interrupted: Interrupted, command: list[str], module: str) -> None:
    assert interrupted("node-fsm", *command, at=module) == (ExitCode.INTERRUPTED, "")


@pytest.mark.parametrize("module", ["sqlalchemy", "asyncpg", "boto3", "node_fsm.service"])
def test_while_the_service_is_imported(interrupted: Interrupted, module: str) -> None:
    assert interrupted("node-fsm", "run", at=module) == (ExitCode.INTERRUPTED, "")


@pytest.mark.parametrize(
    ("command", "module"),
    [
        (["node-fsm", "demo"], "node_fsm.cli.demo"),
        (["node-fsm", "demo"], "node_fsm_sandbox.demo.entry"),
        (["node-fsm", "demo"], "asyncio"),
        (["sandbox-servers", "file"], "asyncio"),
    ],
)
def test_while_the_sandbox_begins(interrupted: Interrupted, command: list[str], module: str) -> None:
    code, said = interrupted(*command, at=module)
    assert code == ExitCode.INTERRUPTED
    assert said in {"", "interrupted by SIGINT; nothing is left running\n"}


def test_a_job_in_the_background_of_a_shell_goes_on() -> None:
    """The shell has it ignore what Ctrl-C sends to the command in front."""
    command = f"trap '' INT; exec {PROGRAMS / 'node-fsm'} --version & kill -INT $!; wait $!"
    done = subprocess.run(["/bin/sh", "-c", command], stdout=subprocess.PIPE, timeout=HANGING, check=False)
    assert (done.returncode, done.stdout.count(b"\n")) == (0, 1)
