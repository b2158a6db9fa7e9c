"""The files that commands read and write; without a path they are standard input and output."""

import sys
from collections.abc import Callable
from typing import IO

from node_fsm_sandbox.jcli.errors import CommandError, os_reason

Refusal = Callable[[str], CommandError]
"""Makes the command's error of why a file cannot be used."""


def read(path: str | None, refusal: Refusal) -> bytes:
    """All of a file."""
    try:
        with _open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise refusal(os_reason(error)) from None


def read_line(path: str | None, refusal: Refusal) -> str:
    """The first line of a file, without the white space at its end."""
    try:
        with _open(path, "rb") as file:
            return file.readline().decode().rstrip()
    except OSError as error:
        raise refusal(os_reason(error)) from None
    except UnicodeDecodeError:
        raise refusal("stream did not contain valid UTF-8") from None


def write(path: str | None, data: bytes, refusal: Refusal) -> None:
    """All of a file, anew."""
    try:
        with _open(path, "wb") as file:
            file.write(data)
    except OSError as error:
        raise refusal(os_reason(error)) from None


def say(text: str) -> None:
    """A line on standard output."""
    sys.stdout.write(f"{text}\n")


def write_key(path: str | None, text: str) -> None:
    """A key or its bytes, as a line of a file."""

    def refusal(reason: str) -> CommandError:
        return CommandError(f"invalid output file path '{path}'", reason)

    write(path, text.encode() + b"\n", refusal)


def _open(path: str | None, mode: str) -> IO[bytes]:
    if path is not None:
        return open(path, mode)  # noqa: PTH123 - importing pathlib takes longer than most commands
    stream = sys.stdin if "r" in mode else sys.stdout
    return open(stream.fileno(), mode, closefd=False)
