"""The whole demo: two elections, a service killed in each, everything compared, nothing left."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.demo.process import DemoProcess
from tests.election.test_importing import add_up
from tests.support.polling import HANGING

LIMIT = 700
"""For hanging: it takes two minutes, and longer beside other work."""


def test_the_demo_on_the_stand_ins(tmp_path: Path) -> None:
    report = hold(tmp_path)
    assert report["jcli_version"].startswith("jcli ")
    assert "sandbox" in report["jcli_version"]
    assert "sandbox" in report["jormungandr_version"]


def test_the_demo_on_the_real_binaries(tmp_path: Path, real_jcli: str, real_jormungandr: str) -> None:
    report = hold(tmp_path, "--jcli", real_jcli, "--jormungandr", real_jormungandr)
    assert "sandbox" not in report["jcli_version"] + report["jormungandr_version"]


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, "starting Postgres"),
        (signal.SIGTERM, "starting a service"),
        (signal.SIGINT, "leader0: Running (first)"),
    ],
)
def test_a_demo_that_is_asked_to_stop_leaves_nothing(tmp_path: Path, number: signal.Signals, moment: str) -> None:
    with DemoProcess(tmp_path) as demo:
        demo.wait_for(moment)
        demo.process.send_signal(number)
        assert demo.process.wait(HANGING) == 128 + number
        assert demo.left() == []
        assert demo.output.splitlines()[-1] == f"interrupted by {number.name}; nothing is left running"


def test_a_demo_that_is_killed_leaves_nothing_after_a_moment(tmp_path: Path) -> None:
    with DemoProcess(tmp_path) as demo:
        demo.wait_for("leader0: Running (first)")
        demo.process.kill()
        demo.process.wait()
        deadline = time.monotonic() + HANGING
        while demo.left() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert demo.left() == []


def hold(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    """Run a demo to its end and check all that must hold of it; its report."""
    file, kept = tmp_path / "report.json", tmp_path / "kept"
    began = time.monotonic()
    with DemoProcess(tmp_path, "--report", str(file), "--keep", str(kept), *arguments) as demo:
        code = demo.process.wait(LIMIT)
        took = time.monotonic() - began
        assert code == 0, demo.output
        assert took < LIMIT
        assert demo.left() == []
    report: dict[str, Any] = json.loads(file.read_text())
    assert report["ok"] is True
    assert [election["name"] for election in report["elections"]] == ["first", "second"]
    for election in report["elections"]:
        check_election(election, kept)
    check_nodes(report["nodes"])
    return report


def check_election(election: dict[str, Any], kept: Path) -> None:
    """What the report says of an election is what its votes add up to and what its archive holds."""
    drawn = add_up(kept / "elections" / election["name"])
    assert election["expected"] == election["results"] == drawn
    assert election["archive"]["verified"] is True
    archive = kept / "archives" / election["name"]
    manifest = json.loads((archive / "manifest.json").read_text())
    assert manifest["block0_hash"] == election["block0_hash"]
    assert [votes for plan in manifest["results"] for votes in plan["votes"]] == list(election["results"].values())
    program = Path(sys.executable).with_name("node-fsm")
    verified = subprocess.run([program, "verify", str(archive)], capture_output=True, text=True, check=False)
    assert verified.returncode == 0, verified.stdout


def check_nodes(nodes: dict[str, Any]) -> None:
    """Three nodes went through both elections, and only those services restarted that were killed."""
    assert {name: (node["role"], node["restarts"]) for name, node in nodes.items()} == {
        "leader0": ("leader0", 1),
        "leader1": ("leader", 1),
        "follower": ("follower", 0),
    }
    for name, node in nodes.items():
        for election in ("first", "second"):
            phases = [step["phase"] for step in node["phases"] if step["election"] == election]
            killed = (name, election) in {("leader0", "second"), ("leader1", "first")}
            assert phases.count("Running") == 1 + killed, (name, election, phases)
            assert phases[-2:] == ["Reset", "Waiting"]
            if name == "leader0":
                assert phases[-4:-2] == ["Tallying", "Archiving"]
