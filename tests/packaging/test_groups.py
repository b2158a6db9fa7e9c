"""What is to run in one process does, by the pytest and pytest-xdist that are locked."""

import subprocess
import sys
from pathlib import Path

from tests.support.polling import HANGING

ROOT = Path(__file__).parents[2]
GROUPED = """
import os

import pytest


@pytest.mark.parametrize("number", [pytest.param(n, marks=pytest.mark.xdist_group("ABC"[n // 2])) for n in range(6)])
def test_one(number):
    print(os.environ["PYTEST_XDIST_WORKER"])
"""


def test_tests_of_a_group_run_in_one_process(tmp_path: Path) -> None:
    (tmp_path / "test_grouped.py").write_text(GROUPED)
    options = (
        "-p",
        "tests.support.groups",
        "-p",
        "no:cacheprovider",
        "-n",
        "2",
        "--dist",
        "loadgroup",
        "-v",
        "-o",
        "addopts=",
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, tmp_path, "--rootdir", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANGING,
        check=True,
    )
    ran = [line.split() for line in done.stdout.splitlines() if " PASSED " in line]
    by_group = {group: {line[0] for line in ran if f"]@{group}" in line[-1]} for group in "ABC"}
    assert {group: len(processes) for group, processes in by_group.items()} == {"A": 1, "B": 1, "C": 1}, done.stdout
