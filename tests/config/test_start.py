"""How fast the command line answers what needs nothing: it imports nothing for it."""

import os
import subprocess
import sys

import pytest

from node_fsm import __version__
from tests.support.polling import HANGING

COMPLETION = {"_NODE_FSM_COMPLETE": "complete_bash", "COMP_WORDS": "node-fsm election c", "COMP_CWORD": "2"}


def run(source: str, *arguments: str, **environment: str) -> tuple[str, set[str]]:
    """What *source* prints, and the public top-level modules that it leaves behind, in a Python of its own."""
    script = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr))\n"
        f"sys.argv[0] = 'node-fsm'\n{source}"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env={"PATH": os.defpath} | environment,
        capture_output=True,
        text=True,
        timeout=HANGING,
        check=True,
    )
    return done.stdout, {name for name in done.stderr.split() if not name.startswith("_")}


def node_fsm(*arguments: str, **environment: str) -> tuple[str, set[str]]:
    """The same of the program."""
    return run("from node_fsm.__main__ import main; main()", *arguments, **environment)


@pytest.fixture(scope="module")
def allowed() -> set[str]:
    """What any command line stands on: the standard library, the code itself, and typer with what that needs."""
    smallest = "import typer; app = typer.Typer(); app.command()(lambda: None); app()"
    _, modules = run(smallest)
    return modules | set(sys.stdlib_module_names) | {"node_fsm"}


def test_the_version_imports_nothing(allowed: set[str]) -> None:
    printed, modules = node_fsm("--version")
    assert printed == f"{__version__}\n"
    assert modules - allowed == set()


def test_a_tab_in_the_shell_imports_nothing(allowed: set[str]) -> None:
    printed, modules = node_fsm(**COMPLETION)
    assert printed.split() == ["cancel", "confirm"]
    assert modules - allowed == set()


def test_the_version_is_a_command_too(allowed: set[str]) -> None:
    printed, modules = node_fsm("version")
    assert printed == f"{__version__}\n"
    assert modules - allowed == {"loguru"}
