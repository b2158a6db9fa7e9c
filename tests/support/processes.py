"""Looking at processes from outside."""

from pathlib import Path


def is_running(pid: int) -> bool:
    """Whether the process exists; one that only waits to be reaped does not count."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"
