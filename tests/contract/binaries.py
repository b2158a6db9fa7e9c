"""The two pairs of executables that keep one contract: the real ones, and their stand-ins."""

import stat
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Binaries:
    """A jcli and a jormungandr; *sandbox* says whether they are the stand-ins."""

    sandbox: bool
    jcli: Path
    jormungandr: Path


def sandbox_binaries(directory: Path) -> Binaries:
    """The stand-ins, as executables in *directory* that this interpreter runs."""
    return Binaries(
        sandbox=True,
        jcli=_executable(directory / "jcli", "node_fsm_sandbox.jcli.__main__"),
        jormungandr=_executable(directory / "jormungandr", "node_fsm_sandbox.node.__main__"),
    )


def _executable(path: Path, module: str) -> Path:
    path.write_text(f"#!{sys.executable} -I\nfrom {module} import main\n\nmain()\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path
