"""The persistent log: every fragment that was accepted, on disk, for whom the node's memory does not last."""

from datetime import UTC, datetime
from pathlib import Path
from struct import pack
from typing import IO


class ReceivedLog:
    """One file for each hour (UTC); an entry is the time in seconds and the fragment."""

    def __init__(self, directory: Path, now: datetime) -> None:
        """Open the file of this hour; OSError."""
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._name, self._file = self._open(now)

    def append(self, raw: bytes, now: datetime) -> None:
        """Note a fragment that came just *now*; OSError. What was appended survives the process."""
        if self._name != _name(now):
            self._file.close()
            self._name, self._file = self._open(now)
        self._file.write(pack(">Q", int(now.timestamp())) + raw)

    def _open(self, now: datetime) -> tuple[str, IO[bytes]]:
        name = _name(now)
        # Unbuffered: nothing is left behind for later when the disk is full.
        return name, (self._directory / name).open("ab", buffering=0)


def _name(now: datetime) -> str:
    return f"{now.astimezone(UTC):%Y-%m-%d_%H}.log"
