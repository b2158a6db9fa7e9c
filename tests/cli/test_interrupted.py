"""Ctrl-C ends a command quietly from its first moment on, also while it imports."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from node_fsm.cli.output import ExitCode
from tests.support.polling import HANGING

PROGRAMS = Path(sys.executable).parent


def interrupted(program: str, *arguments: str, after: str) -> tuple[int, str]:
    """The exit code and the standard error of a program that is sent SIGINT when it has imported the module *after*."""
    environment = {"PATH": os.defpath, "NODE_FSM_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", PROGRAMS / program, *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        said, is_sent = "", False
        for line in process.stderr:
            if not line.startswith("import time:"):
                said += line
            elif line.rpartition("|")[2].strip() == after and not is_sent:
                process.send_signal(signal.SIGINT)
                is_sent = True
        assert is_sent, f"{program} {arguments} does not import {after}"
        return process.wait(HANGING), said


@pytest.mark.parametrize("command", [["run"], ["status"], ["table"]], ids=" ".join)
@pytest.mark.parametrize("after", ["typer.exceptions", "node_fsm.cli.output", "node_fsm.cli.verify", "loguru"])
def test_while_any_command_begins(command: list[str], after: str) -> None:
    assert interrupted("node-fsm", *command, after=after) == (ExitCode.INTERRUPTED, "")


@pytest.mark.parametrize("after", ["sqlalchemy", "asyncpg", "boto3", "node_fsm.service"])
def test_while_the_service_is_imported(after: str) -> None:
    assert interrupted("node-fsm", "run", after=after) == (ExitCode.INTERRUPTED, "")


@pytest.mark.parametrize(
    ("command", "after"),
    [
        (["node-fsm", "demo"], "node_fsm.cli.demo"),
        (["node-fsm", "demo"], "node_fsm_sandbox.demo.entry"),
        (["node-fsm", "demo"], "asyncio"),
        (["sandbox-servers", "file"], "asyncio"),
    ],
)
def test_while_the_sandbox_begins(command: list[str], after: str, tmp_path: Path) -> None:
    code, said = interrupted(*command, after=after)
    assert code == ExitCode.INTERRUPTED
    assert said in {"", "interrupted by SIGINT; nothing is left running\n"}


def test_a_job_in_the_background_of_a_shell_goes_on() -> None:
    """The shell has it ignore what Ctrl-C sends to the command in front."""
    command = f"trap '' INT; exec {PROGRAMS / 'node-fsm'} --version & kill -INT $!; wait $!"
    done = subprocess.run(["/bin/sh", "-c", command], stdout=subprocess.PIPE, timeout=HANGING, check=False)
    assert (done.returncode, done.stdout.count(b"\n")) == (0, 1)
