"""Running an external command to its end: bounded in time and output, and never left behind."""

import asyncio
import os
import re
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from node_fsm.core.errors import PermanentError, TemporaryError, shortage
from node_fsm.log import redact

MAX_STDOUT = 64 * 2**20
MAX_STDERR = 64 * 2**10
MAX_STDIN = 4096
"""A pipe takes this much without a reader, so that the input is written before the command starts."""

_KILL_SECONDS = 5.0
_CHUNK = 64 * 2**10
_REASON_LINES = 5
_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR")


@dataclass(frozen=True, slots=True)
class Completed:
    """What a command that succeeded printed; of stderr the first MAX_STDERR bytes."""

    stdout: bytes
    stderr: str


def child_environment() -> dict[str, str]:
    """The environment of every child: nothing of ours but where to find things; no credentials."""
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return passed_on | {"RUST_BACKTRACE": "0"}  # a panic is then three lines, not a trace


async def run_command(argv: Sequence[str], *, setting: str, timeout: float, stdin: bytes | None = None) -> Completed:
    """Run *argv* and return what it printed; *stdin*, at most MAX_STDIN bytes, is what it reads.

    The command gets its own process group, and the whole group is gone when this returns or raises. Files that it
    makes are readable by their owner only. *setting* names the setting that says where the executable is.
    Raises PermanentError when the executable cannot be started, prints more than MAX_STDOUT bytes or fails, and
    TemporaryError when it takes longer than *timeout* seconds or the system has nothing left to start it with.
    """
    name = _name(argv)
    process = await _start(argv, setting, stdin)
    try:
        async with asyncio.timeout(timeout):
            stdout, stderr = await _communicate(process, name)
    except TimeoutError as error:
        raise TemporaryError("CommandTimeout", f"{name} did not end within {timeout:g} s and was killed") from error
    reason = stderr.decode(errors="replace")
    if stdin:
        reason = reason.replace(stdin.decode(errors="replace").strip(), "***")
    reason = redact(reason)  # of a part of a key, too: what is said here goes into the database and onto terminals
    if process.returncode:
        first_lines = " ".join(line.strip() for line in reason.strip().splitlines()[:_REASON_LINES])
        raise PermanentError(
            "CommandFailed", f"{name} ended with code {process.returncode}: {first_lines or 'nothing on stderr'}"
        )
    return Completed(stdout, reason)


async def _start(argv: Sequence[str], setting: str, stdin: bytes | None) -> asyncio.subprocess.Process:
    standard_input = asyncio.subprocess.DEVNULL
    try:
        if stdin is not None:
            standard_input = filled_pipe(stdin)
        return await asyncio.create_subprocess_exec(
            *argv,
            stdin=standard_input,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=child_environment(),
            start_new_session=True,
            umask=0o077,
        )
    except (OSError, RuntimeError, MemoryError) as error:
        if lacking := shortage(error, f"the start of {argv[0]}"):
            raise lacking from error
        if not isinstance(error, OSError):
            raise
        raise PermanentError(
            "CommandNotExecutable",
            f"{argv[0]} cannot be started ({error.strerror}); set {setting} to the path of the executable",
        ) from error
    finally:
        if standard_input != asyncio.subprocess.DEVNULL:
            os.close(standard_input)


async def _communicate(process: asyncio.subprocess.Process, name: str) -> tuple[bytes, bytes]:
    """Read both outputs to their end and wait for the command; kill its group if that is cut short."""
    output = cast("asyncio.StreamReader", process.stdout)
    errors = asyncio.create_task(_head(cast("asyncio.StreamReader", process.stderr), MAX_STDERR))
    try:
        stdout = await _read(output, MAX_STDOUT + 1)
        if len(stdout) > MAX_STDOUT:
            raise PermanentError("CommandOutputTooLong", f"{name} printed over {MAX_STDOUT} bytes and was killed")
        await asyncio.wait({errors})
        await process.wait()
    except BaseException:  # a timeout and a cancellation, too, leave nothing running
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(TimeoutError):
            async with asyncio.timeout(_KILL_SECONDS):
                await _head(output, 0)  # only after the end of its output does asyncio say that a process ended
                await process.wait()
        raise
    return stdout, errors.result()


async def _read(stream: asyncio.StreamReader, limit: int) -> bytes:
    """Read to the end, or until *limit* bytes have come."""
    taken = bytearray()
    while len(taken) < limit and (chunk := await stream.read(min(_CHUNK, limit - len(taken)))):
        taken += chunk
    return bytes(taken)


async def _head(stream: asyncio.StreamReader, limit: int) -> bytes:
    """Read to the end, keeping the first *limit* bytes, so that a chatty command does not block on a full pipe."""
    kept = await _read(stream, limit)
    while await stream.read(_CHUNK):
        pass
    return kept


def filled_pipe(content: bytes) -> int:
    """The reading end of a closed pipe holding *content*.

    A real pipe, because asyncio gives a child a socket, and ``/dev/stdin`` cannot be opened when it is one.
    """
    if len(content) > MAX_STDIN:
        raise ValueError(f"at most {MAX_STDIN} bytes can be given on standard input, not {len(content)}")
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb", buffering=0) as stream:
        stream.write(content)
    return reader


def _name(argv: Sequence[str]) -> str:
    """The command with its subcommands, without options, values or anything else that an argument may hold."""
    words = [Path(argv[0]).name]
    for argument in argv[1:]:
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,19}", argument):
            break
        words.append(argument)
    return " ".join(words)
