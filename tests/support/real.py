"""A pytest plugin: jcli and jormungandr, the stand-ins always, the real ones where there are any."""

import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.contract.binaries import Binaries, sandbox_binaries
from tests.support.polling import HANGING

VARIABLES = {"jcli": "NODE_FSM_JCLI_PATH", "jormungandr": "NODE_FSM_JORM_PATH"}

_ABSENT = "no real"


@pytest.fixture(scope="session")
def real_jcli() -> str:
    """The real jcli; skips the test when there is none, fails it when NODE_FSM_JCLI_PATH is wrong."""
    return _real_binary("jcli")


@pytest.fixture(scope="session")
def real_jormungandr() -> str:
    """The real jormungandr; skips the test when there is none, fails it when NODE_FSM_JORM_PATH is wrong."""
    return _real_binary("jormungandr")


@pytest.fixture(scope="session", params=["sandbox", pytest.param("real", marks=pytest.mark.real)])
def binaries(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Binaries:
    """One pair of executables after the other."""
    if request.param == "sandbox":
        return sandbox_binaries(tmp_path_factory.mktemp("bin"))
    jcli, jormungandr = (Path(request.getfixturevalue(name)) for name in ("real_jcli", "real_jormungandr"))
    return Binaries(sandbox=False, jcli=jcli, jormungandr=jormungandr)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use a real binary."""
    for item in items:
        if {"real_jcli", "real_jormungandr"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("real")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests did not run, and why: a line for each reason, those for want of a real binary once more."""
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.getreports("skipped"))
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count} skipped: {reason}")
    missed = sum(count for reason, count in reasons.items() if reason.startswith(f"{_ABSENT} "))
    if missed:
        variables = " and ".join(VARIABLES.values())
        terminalreporter.write_line(f"{missed} skipped for want of the real jcli or jormungandr: set {variables}")


def _real_binary(name: str) -> str:
    variable = VARIABLES[name]
    configured = os.environ.get(variable)
    found = configured or shutil.which(name)
    if found is None:
        pytest.skip(f"{_ABSENT} {name}: {variable} is not set and PATH has none")
    version = _version(found)
    if version.startswith(f"{name} ") and "sandbox" not in version:
        return str(Path(found).absolute())
    if configured is None:
        pytest.skip(f"{_ABSENT} {name}: {variable} is not set and {found} is none")
    pytest.fail(f"{variable}={configured} is not the real {name}: it says {version!r}")


def _version(executable: str) -> str:
    """What the executable says of itself, or what is wrong with it."""
    try:
        command = [executable, "--full-version"]
        return subprocess.run(command, capture_output=True, check=True, text=True, timeout=HANGING).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return f"error: {error}"
