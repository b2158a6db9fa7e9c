"""What other users of a machine see of processes: their arguments, their environment, and what they write."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil

from tests.security.marks import Marks

POLL_SECONDS = 0.05
LARGEST_FILE = 2**18
"""Bytes of files that are looked into again and again; chains are larger, and are looked into at the end."""


class Sightings:
    """Where secrets were seen, and how many processes were looked at."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self.seen: set[tuple[str, str]] = set()
        self.processes: set[tuple[int, float]] = set()

    def look(self, where: str, data: bytes | str) -> None:
        """Note the secrets in *data*."""
        self.seen |= {(where, name) for name in self._marks.found_in(data)}

    def look_into(self, file: Path) -> None:
        """Note the secrets in a file, which may vanish."""
        with suppress(OSError):
            self.look(str(file), file.read_bytes())

    def look_at_children(self, service: psutil.Process) -> None:
        """Note the secrets that the children of a service show; it itself may have them in its environment alone."""
        with suppress(psutil.NoSuchProcess, OSError):
            own = _of(service.pid, "cmdline")
            self.look("arguments of the service", own)
            for child in service.children(recursive=True):
                arguments = _of(child.pid, "cmdline")
                if arguments in (own, b""):
                    continue  # not yet another program than its parent
                self.processes.add((child.pid, child.create_time()))
                name = arguments.split(b"\0")[-1][:40].decode(errors="replace")
                self.look(f"arguments of a child ({name})", arguments)
                self.look(f"environment of a child ({name})", _of(child.pid, "environ"))

    @asynccontextmanager
    async def watching(self, services: list[psutil.Process], directories: list[Path]) -> AsyncIterator[None]:
        """Look at the children of *services*, to which others may be added, and into small files of *directories*."""

        async def watch() -> None:
            while True:
                for service in services:
                    self.look_at_children(service)
                await asyncio.sleep(POLL_SECONDS)

        async def watch_files() -> None:
            while True:
                for directory in directories:
                    for file in files_in(directory):
                        with suppress(OSError):
                            if file.stat().st_size <= LARGEST_FILE:
                                self.look_into(file)
                await asyncio.sleep(20 * POLL_SECONDS)

        tasks = [asyncio.create_task(watch()), asyncio.create_task(watch_files())]
        try:
            yield
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


def files_in(directory: Path) -> Iterator[Path]:
    """The ordinary files below a directory in which others write."""
    with suppress(FileNotFoundError):
        yield from (path for path in directory.rglob("*") if path.is_file() and not path.is_symlink())


def _of(pid: int, what: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:
        return b""
