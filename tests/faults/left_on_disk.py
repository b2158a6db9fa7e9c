"""What a service leaves on its machine's disk."""

from pathlib import Path


def left_on_disk(storage: Path) -> tuple[str, ...]:
    """The names of what is left of elections in a working directory."""
    return tuple(path.name for place in ("elections", "set-aside") for path in (storage / place).iterdir())
