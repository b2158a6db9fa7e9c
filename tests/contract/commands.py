"""Running jcli as people and scripts do: in a directory of their own, one command after the other."""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.support.polling import HANGING

_ENVIRONMENT = {"PATH": os.environ["PATH"], "RUST_BACKTRACE": "0"}
_PANIC = re.compile(r"\nthread '.*' (\(\d+\) )?panicked .*:\n(.*)\n")
_POSITION = re.compile(r" at line \d+ column \d+$")

PANIC_CODE = 101


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def refusal(self) -> tuple[int, str]:
        """The exit code, and what the first line of standard error says: that of a panic is its message."""
        panic = _PANIC.match(self.stderr)
        return self.code, panic[2] if panic else self.stderr.partition("\n")[0]

    @property
    def cause(self) -> str:
        """The innermost cause that standard error names, without where in a document it was found."""
        *_, last = self.stderr.rstrip().rpartition("  |-> ")
        return _POSITION.sub("", last)


@dataclass
class Jcli:
    """A jcli at work in *directory*."""

    path: Path
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, stdin: str | bytes = b"") -> Ended:
        """Run a command to its end."""
        data = stdin.encode() if isinstance(stdin, str) else stdin
        completed = subprocess.run(
            [self.path, *arguments],
            cwd=self.directory,
            input=data,
            capture_output=True,
            env={**_ENVIRONMENT, **self.environment},
            timeout=HANGING,
            check=False,
        )
        return Ended(completed.returncode, completed.stdout.decode(), completed.stderr.decode())

    def out(self, *arguments: str, stdin: str | bytes = b"") -> str:
        """What a command prints that has to succeed, without the end of its last line."""
        ended = self.run(*arguments, stdin=stdin)
        assert (ended.code, ended.stderr) == (0, ""), (arguments, ended)
        return ended.stdout.removesuffix("\n")

    def refused(self, *arguments: str, stdin: str | bytes = b"") -> tuple[int, str]:
        """How a command ends that prints nothing but its refusal."""
        ended = self.run(*arguments, stdin=stdin)
        assert ended.stdout == "", (arguments, ended)
        return ended.refusal

    def write(self, name: str, content: str | bytes) -> str:
        """Write a file in the directory; returns its name."""
        (self.directory / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return name

    def read(self, name: str) -> str:
        """The text of a file in the directory, without the end of its last line."""
        return (self.directory / name).read_text().removesuffix("\n")

    def in_directory(self, directory: Path) -> Self:
        """The same jcli elsewhere."""
        return type(self)(self.path, directory, self.environment)
