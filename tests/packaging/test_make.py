"""The environment that make works in has the Python that was asked for."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.executable import write_executable
from tests.support.polling import HANGING

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


def set_up(directory: Path, *, has: str, asked: str) -> "subprocess.CompletedProcess[str]":
    """What ``make setup PYTHON=...`` does about an environment that is installed."""
    environment = directory / "environment"
    (environment / "bin").mkdir(parents=True)
    write_executable(environment / "bin" / "python", f"print('Python {has}')")
    (environment / ".installed").touch()
    python = write_executable(directory / "python", f"print('Python {asked}')")
    command = ["make", "-s", "-C", str(ROOT), "setup", f"PYTHON={python}", f"VENV={environment}"]
    outer = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of "make test"
    return subprocess.run(command, env=outer, capture_output=True, text=True, timeout=HANGING, check=False)


def test_an_environment_of_the_same_python_is_used(tmp_path: Path) -> None:
    assert set_up(tmp_path, has="3.11.2", asked="3.11.2").returncode == 0


def test_an_environment_of_another_python_is_refused(tmp_path: Path) -> None:
    done = set_up(tmp_path, has="3.11.2", asked="3.12.1")
    assert done.returncode != 0
    assert "has Python 3.11.2, not the Python 3.12.1 that PYTHON asks for" in done.stderr
