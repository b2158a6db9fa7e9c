"""The Containerfile, as far as it can be judged without building it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.container.paths import CONTAINERFILE, ROOT
from tests.support.polling import HANGING


def test_hadolint_finds_nothing() -> None:
    hadolint = shutil.which("hadolint", path=Path(sys.executable).parent) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("no hadolint beside this Python or in PATH; its wheel exists for a part of all platforms only")
    done = subprocess.run([hadolint, CONTAINERFILE], capture_output=True, text=True, timeout=HANGING, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_all_that_it_copies_is_there() -> None:
    lines = CONTAINERFILE.read_text().splitlines()
    copied = [re.sub(r"--\S+ ", "", line).split()[1:-1] for line in lines if re.match(r"COPY (?!--from)", line)]
    names = [name for names in copied for name in names]
    assert "pyproject.toml" in names
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_no_stage_has_a_base_that_cannot_be_replaced() -> None:
    stages = re.findall(r"^FROM (\S+)", CONTAINERFILE.read_text(), re.MULTILINE)
    assert set(stages) == {"${BASE}"}
