"""The units of systemd: read by systemd-analyze where that is found, and held against the service's settings."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from node_fsm.service import STOP_SECONDS
from node_fsm.settings.model import Settings, load_settings
from tests.support.polling import HANGING

ROOT = Path(__file__).parents[2]
UNITS = {path.name: path for path in (ROOT / "deploy" / "systemd").glob("*.service")}
PAGE = ROOT / "docs" / "systemd.md"
PROGRAMS = ("/opt/node-fsm/bin/node-fsm", "/usr/sbin/nginx")
MOST_EXPOSURE = 15
"""In tenths of what systemd-analyze counts to ten with; a unit without any of its settings has 96."""


def unit(name: str) -> dict[str, list[str]]:
    """What stands in a unit's settings, in order."""
    settings: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", UNITS[name].read_text(), re.MULTILINE):
        settings.setdefault(key, []).append(value)
    return settings


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What systemd-analyze says; skips the test when there is none."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze in PATH")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=HANGING, check=False)


@pytest.fixture
def units(tmp_path: Path) -> dict[str, Path]:
    """Copies whose programs are there on this machine."""
    for name, path in UNITS.items():
        text = path.read_text()
        for program in PROGRAMS:
            text = text.replace(f"{program} ", f"{sys.executable} ")
        (tmp_path / name).write_text(text)
    return {name: tmp_path / name for name in UNITS}


@pytest.mark.parametrize("name", sorted(UNITS))
def test_systemd_understands_all_of_it(units: dict[str, Path], name: str) -> None:
    said = analyze("verify", "--man=no", "--recursive-errors=no", str(units[name]))
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


@pytest.mark.parametrize("name", sorted(UNITS))
def test_it_is_locked_in(units: dict[str, Path], name: str) -> None:
    said = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSURE}", "--no-pager", str(units[name]))
    assert said.returncode == 0, said.stdout[-500:] + said.stderr


def test_the_service_accepts_the_environment_of_the_page(tmp_path: Path) -> None:
    service = unit("node-fsm.service")
    loaded = dict(each.split(":") for each in service["LoadCredential"])
    for name in loaded:
        (tmp_path / name).write_text("postgresql://me:password@db/elections" if name == "database-url" else "secret")
    [example] = re.findall(r"^```ini\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    environment = dict(line.split("=", 1) for line in [*example.splitlines(), *service["Environment"]])
    settings = load_settings({key: value.replace("%d", str(tmp_path)) for key, value in environment.items()}, Settings)
    assert settings.aws_credentials() == {"aws_access_key_id": "leader1", "aws_secret_access_key": "secret"}
    assert [str(settings.storage_dir)] == [f"/var/lib/{name}" for name in service["StateDirectory"]]
    assert all(path in PAGE.read_text() for path in (*loaded.values(), *service["EnvironmentFile"]))


def test_the_node_has_the_time_to_stop_and_hears_it_from_the_service_alone() -> None:
    service = unit("node-fsm.service")
    assert [int(seconds) > STOP_SECONDS for seconds in service["TimeoutStopSec"]] == [True]
    assert service["KillMode"] == ["mixed"]
    assert service["RestartPreventExitStatus"] == ["2"]
