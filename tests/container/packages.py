"""The locked packages, fetched for the Python of an image rather than for the one that runs the tests."""

import re
import shutil
import sys
from pathlib import Path

from tests.container.engine import BUILD_SECONDS, run
from tests.container.paths import ROOT

BASE_PYTHON = "3.11"
LOCK_FILES = ROOT / "requirements"
SANDBOX_PACKAGES = ("cffi", "cryptography", "pycparser")


def download_packages(directory: Path, *lock_files: str) -> None:
    """Put the wheels of *lock_files* into *directory*. Raises EngineError."""
    requirements = [f"--requirement={LOCK_FILES / name}" for name in lock_files]
    _pip("download", "--dest", str(directory), *requirements)


def install_sandbox_packages(directory: Path) -> None:
    """Install into *directory* the stand-ins and what they need and the service does not. Raises EngineError."""
    lock = (LOCK_FILES / "sandbox.txt").read_text()
    names = "|".join(SANDBOX_PACKAGES)
    requirements = directory / "requirements.txt"
    requirements.write_text("".join(re.findall(rf"^(?:{names})==.*\n(?: +--hash.*\n)+", lock, re.MULTILINE)))
    _pip("install", "--target", str(directory), f"--requirement={requirements}")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "sandbox" / "node_fsm_sandbox", directory / "node_fsm_sandbox", ignore=ignored)


def _pip(command: str, *options: str) -> None:
    run(
        *(sys.executable, "-m", "pip", command, "--quiet", "--require-hashes", "--only-binary", ":all:"),
        *("--python-version", BASE_PYTHON, *options),
        timeout=BUILD_SECONDS,
    )
