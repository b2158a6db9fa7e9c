"""The leash: what it runs ends soon after its holder, and by SIGTERM first."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from node_fsm.programs import leash
from tests.support.executable import write_executable
from tests.support.polling import HANGING, eventually
from tests.support.processes import is_running

SIGTERM_IS_NOTED = """
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # a handler would not run if it came just before the waiting
open(sys.argv[1], "w").close()
signal.sigwait([signal.SIGTERM])
open(sys.argv[1] + ".terminated", "w").close()
sys.exit(5)
"""
SIGTERM_IS_IGNORED = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[1], "w").close()
while True:
    signal.pause()
"""


@contextmanager
def leashed(*command: str, grace: float = 20) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    """A leash and the end by which it is held."""
    holder, end = socket.socketpair()
    argv = [sys.executable, "-IS", leash.__file__, str(end.fileno()), str(grace), *command]
    with (
        holder,
        subprocess.Popen(argv, pass_fds=[end.fileno()], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process,
    ):
        end.close()
        try:
            yield process, holder
        finally:
            process.kill()


def start(holder: socket.socket) -> int:
    holder.settimeout(HANGING)
    holder.sendall(leash.GO)
    return int(holder.recv(32))


@pytest.mark.parametrize(("source", "code"), [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 137)])
def test_ends_with_the_commands_exit_code(tmp_path: Path, source: str, code: int) -> None:
    with leashed(str(write_executable(tmp_path / "command", source))) as (process, holder):
        holder.sendall(leash.GO)
        assert process.wait(HANGING) == code


def test_says_when_the_command_cannot_be_started() -> None:
    with leashed("/absent/jormungandr") as (process, holder):
        holder.sendall(leash.GO)
        assert process.wait(HANGING) == leash.NOT_STARTED
        assert process.stderr
        assert process.stderr.read() == b"/absent/jormungandr cannot be started: No such file or directory\n"


def test_starts_nothing_when_let_go_before_it_began(tmp_path: Path) -> None:
    command = write_executable(tmp_path / "command", SIGTERM_IS_NOTED)
    with leashed(str(command), str(tmp_path / "started")) as (process, holder):
        holder.close()
        assert process.wait(HANGING) == 0
    assert not (tmp_path / "started").exists()


async def test_asks_the_command_to_end_when_let_go(tmp_path: Path) -> None:
    command = write_executable(tmp_path / "command", SIGTERM_IS_NOTED)
    with leashed(str(command), str(tmp_path / "started")) as (process, holder):
        pid = start(holder)
        await eventually((tmp_path / "started").exists)
        holder.close()
        assert process.wait(HANGING) == 5
        assert not is_running(pid)
    assert (tmp_path / "started.terminated").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signals_to_the_leash_end_the_command(tmp_path: Path, number: int) -> None:
    command = write_executable(tmp_path / "command", SIGTERM_IS_NOTED)
    with leashed(str(command), str(tmp_path / "started")) as (process, holder):
        start(holder)
        await eventually((tmp_path / "started").exists)
        process.send_signal(number)
        assert process.wait(HANGING) == 5


async def test_stopped_command_still_ends_by_itself(tmp_path: Path) -> None:
    command = write_executable(tmp_path / "command", SIGTERM_IS_NOTED)
    with leashed(str(command), str(tmp_path / "started")) as (process, holder):
        pid = start(holder)
        await eventually((tmp_path / "started").exists)
        os.kill(pid, signal.SIGSTOP)
        holder.close()
        assert process.wait(HANGING) == 5


async def test_kills_a_command_that_does_not_end(tmp_path: Path) -> None:
    command = write_executable(tmp_path / "command", SIGTERM_IS_IGNORED)
    with leashed(str(command), str(tmp_path / "started"), grace=0.3) as (process, holder):
        pid = start(holder)
        await eventually((tmp_path / "started").exists)
        holder.close()
        assert process.wait(HANGING) == 128 + signal.SIGKILL
        assert not is_running(pid)


def test_command_alone_reads_standard_input(tmp_path: Path) -> None:
    """The leash keeps no descriptor of the pipe that may hold a secret, nor the command one of the leash."""
    source = "import os; os.close(0); os.write(2, b' '.join(fd.encode() for fd in sorted(os.listdir('/proc/self/fd'))))"
    command = write_executable(tmp_path / "command", source + "\nimport signal\nsignal.pause()")
    with leashed(str(command)) as (process, holder):
        start(holder)
        assert process.stderr
        assert os.read(process.stderr.fileno(), 100).split() == [b"0", b"1", b"2"]  # 0: the listing itself
        assert process.stdin
        with pytest.raises(BrokenPipeError):
            os.write(process.stdin.fileno(), b"x")
        holder.close()
        process.wait(HANGING)
