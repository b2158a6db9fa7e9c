"""The commands of jcli, on the stand-in always and on the real one where there is one."""

from pathlib import Path

import pytest

from tests.contract.binaries import Binaries
from tests.contract.commands import Jcli


@pytest.fixture
def jcli(binaries: Binaries, tmp_path: Path) -> Jcli:
    """One jcli after the other, in a directory of the test's own."""
    return Jcli(binaries.jcli, tmp_path)
