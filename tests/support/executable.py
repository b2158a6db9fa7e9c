"""Small Python programs that stand in for external commands."""

import sys
from pathlib import Path


def write_executable(path: Path, source: str) -> Path:
    """Write *source* as a program that this interpreter runs, without anything installed; returns its path."""
    path.write_text(f"#!{sys.executable} -IS\n{source}")
    path.chmod(0o700)
    return path
