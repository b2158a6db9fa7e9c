"""How many commands that compute are worth running side by side."""

import os


def processors() -> int:
    """The processors that this process may use; where the system does not say that, all there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
