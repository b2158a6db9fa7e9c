"""``node-fsm demo`` where it cannot begin."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from node_fsm.cli import app
from tests.support.polling import HANGING


def test_without_the_stand_ins_it_says_in_a_sentence_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    command = sys.modules["node_fsm.cli.demo"]  # the package has the function by this name
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "node_fsm_sandbox" else object())
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 1
    assert result.output.strip().splitlines() == [
        "the demo needs stand-ins for Postgres, S3 and the node: pip install node-fsm-sandbox"
    ]


def test_the_other_commands_import_nothing_of_it() -> None:
    source = "import sys, node_fsm.cli; print([name for name in sys.modules if name.startswith('node_fsm_sandbox')])"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


_INTERRUPTED = """\
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "node_fsm_sandbox.demo.run":
            os.kill(os.getpid(), signal.{number})
sys.meta_path.insert(0, Finder())
from node_fsm.cli import app
app(["demo"])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_is_imported_ends_it_with_a_sentence(number: signal.Signals) -> None:
    source = _INTERRUPTED.format(number=number.name)
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=HANGING, check=False)
    assert done.returncode == 128 + number
    assert done.stderr == f"interrupted by {number.name}; nothing is left running\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--keep", "{here}"], "is not empty"),
        (["--report", "{here}/missing/report.json"], "cannot be written"),
        (["--report", "{here}"], "cannot be written: Is a directory"),
        (["--keep", "/proc/kept"], "is no directory to keep anything in: No such file or directory"),
        (["--jcli", "{here}/missing", "--jormungandr", "{here}/missing"], "is no executable file"),
        (["--jcli", "{here}/missing"], "--jcli and --jormungandr belong together"),
    ],
)
def test_what_cannot_work_is_said_in_a_sentence_at_once(tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "something").touch()
    given = [argument.format(here=tmp_path) for argument in arguments]
    program = Path(sys.executable).with_name("node-fsm")
    done = subprocess.run([program, "demo", *given], capture_output=True, text=True, timeout=HANGING, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
