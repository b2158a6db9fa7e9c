"""External commands are bounded and never left behind."""

import asyncio
import errno
import os
import resource
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NoReturn

import pytest

from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.programs.command import MAX_STDERR, MAX_STDIN, Completed, run_command
from tests.support.executable import write_executable
from tests.support.polling import HANGING, eventually
from tests.support.processes import is_running

SETTING = "NODE_FSM_JCLI_PATH"

GRANDPARENT = """
import os, signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
with open(sys.argv[1] + ".tmp", "w") as pids:
    pids.write(f"{os.getpid()} {child.pid}")
os.rename(sys.argv[1] + ".tmp", sys.argv[1])
signal.pause()
"""


def gone(pids: str) -> bool:
    return not any(is_running(int(pid)) for pid in pids.split())


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return tmp_path / "jcli"


async def run(
    program: Path, source: str, *arguments: str, stdin: bytes | None = None, timeout: float = HANGING
) -> Completed:
    argv = [str(write_executable(program, source)), *arguments]
    return await run_command(argv, setting=SETTING, timeout=timeout, stdin=stdin)


async def test_gives_back_what_was_printed(program: Path) -> None:
    source = 'import sys; print(sys.argv[1]); print("note", file=sys.stderr)'
    assert await run(program, source, "hello") == Completed(b"hello\n", "note\n")


@pytest.mark.parametrize("path", ["/dev/stdin", "0"])
async def test_standard_input_can_also_be_opened_by_its_path(program: Path, path: str) -> None:
    source = 'import sys; print(open(int(sys.argv[1]) if sys.argv[1].isdigit() else sys.argv[1]).read()[::-1], end="")'
    assert (await run(program, source, path, stdin=b"secret")).stdout == b"terces"


async def test_longest_standard_input_does_not_block(program: Path) -> None:
    source = "import sys; print(len(sys.stdin.read()))"
    assert (await run(program, source, stdin=b"x" * MAX_STDIN)).stdout == b"%d\n" % MAX_STDIN
    with pytest.raises(ValueError, match="standard input"):
        await run(program, source, stdin=b"x" * (MAX_STDIN + 1))


async def test_environment_holds_nothing_of_ours(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    monkeypatch.setenv("RUST_BACKTRACE", "full")
    completed = await run(program, "import os; print(dict(os.environ))")
    assert b"hidden" not in completed.stdout
    assert b"'RUST_BACKTRACE': '0'" in completed.stdout
    assert b"'PATH'" in completed.stdout


async def test_files_are_private(program: Path, tmp_path: Path) -> None:
    await run(program, 'import sys; open(sys.argv[1], "w").close()', str(tmp_path / "made"))
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o600


async def test_missing_executable_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=f"No such file or directory.*{SETTING}"):
        await run_command([str(tmp_path / "absent")], setting=SETTING, timeout=HANGING)


@pytest.mark.parametrize(
    ("error", "reason", "remedy"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "DescriptorsExhausted", "ulimit -n"),
        (OSError(errno.ENFILE, "Too many open files in system"), "DescriptorsExhausted", "ulimit -n"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "ProcessesExhausted", "ulimit -u"),
        (RuntimeError("can't start new thread"), "ProcessesExhausted", "TasksMax"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "MemoryExhausted", "cgroup"),
    ],
)
@pytest.mark.parametrize("place", ["os.pipe", "asyncio.create_subprocess_exec"])
async def test_what_the_system_lacks_is_said_and_no_setting_blamed(
    monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str, remedy: str, place: str
) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise error

    monkeypatch.setattr(f"node_fsm.programs.command.{place}", fail)
    with pytest.raises(TemporaryError, match=remedy) as failure:
        await run_command(["jcli"], setting=SETTING, timeout=20, stdin=b"key")
    assert failure.value.reason == reason
    assert SETTING not in failure.value.message


async def test_descriptors_that_really_ran_out(program: Path) -> None:
    write_executable(program, "pass")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as held:
        held.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (max(int(file.name) for file in Path("/proc/self/fd").iterdir()) + 2, hard)
        )
        with suppress(OSError):
            while True:
                held.enter_context(Path(os.devnull).open())
        with pytest.raises(TemporaryError) as failure:
            await run_command([str(program)], setting=SETTING, timeout=20, stdin=b"key")
    assert failure.value.reason == "DescriptorsExhausted"
    await run_command([str(program)], setting=SETTING, timeout=20, stdin=b"key")


async def test_failure_has_command_code_and_first_lines(program: Path) -> None:
    source = 'import sys; [print("line", n, file=sys.stderr) for n in range(9)]; sys.exit(3)'
    with pytest.raises(PermanentError) as failure:
        await run(program, source, "key", "to-public", "--input", "file")
    assert failure.value.reason == "CommandFailed"
    assert failure.value.message == "jcli key to-public ended with code 3: line 0 line 1 line 2 line 3 line 4"


async def test_failure_repeats_neither_input_nor_arguments(program: Path) -> None:
    source = 'import sys; print("bad key:", sys.stdin.read(), file=sys.stderr); sys.exit(1)'
    with pytest.raises(PermanentError) as failure:
        await run(program, source, "transaction", "add-account", "ta1" + "q" * 60, stdin=b"ed25519_sk1hidden\n")
    assert failure.value.message == "jcli transaction add-account ended with code 1: bad key: ***"


async def test_chatty_standard_error_neither_blocks_nor_fills_memory(program: Path) -> None:
    completed = await run(program, 'import sys; sys.stderr.write("e" * 3_000_000); print("done")')
    assert completed.stdout == b"done\n"
    assert len(completed.stderr) == MAX_STDERR


async def test_endless_output_is_cut_off(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node_fsm.programs.command.MAX_STDOUT", 100_000)
    with pytest.raises(PermanentError, match="over 100000 bytes"):
        await run(program, "while True: print('x' * 1000)")


async def test_timeout_kills_the_whole_group(program: Path, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    seconds = 0.5
    while not pids.exists():  # a busy machine takes longer to start two processes
        seconds *= 2
        with pytest.raises(TemporaryError, match=rf"jcli .*did not end within {seconds:g} s"):
            await run(program, GRANDPARENT, str(pids), timeout=seconds)
    await eventually(lambda: gone(pids.read_text()))


async def test_cancellation_kills_the_whole_group(program: Path, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    task = asyncio.create_task(run(program, GRANDPARENT, str(pids)))
    await eventually(pids.exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(lambda: gone(pids.read_text()))


async def test_leaves_no_descriptor_open(program: Path) -> None:
    await run(program, "pass", stdin=b"x")
    before = sorted(Path("/proc/self/fd").iterdir())
    await run(program, "pass", stdin=b"x")
    with pytest.raises(PermanentError):
        await run_command(["/absent"], setting=SETTING, timeout=HANGING, stdin=b"x")
    assert len(list(Path("/proc/self/fd").iterdir())) == len(before)
