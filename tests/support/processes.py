"""Looking at processes from outside."""

from pathlib import Path

import psutil


def is_running(pid: int) -> bool:
    """Whether the process exists; one that only waits to be reaped does not count."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def command_of(process: psutil.Process) -> list[str]:
    """Its command line; nothing once it has ended, as processes that are listed may have by then."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
