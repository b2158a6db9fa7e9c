"""The jcli and jormungandr to run on: our stand-ins, or the real ones where the caller names them."""

import asyncio
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from node_fsm.core.errors import ServiceError
from node_fsm.programs.command import run_command
from node_fsm_sandbox.election.errors import SandboxError, UsageError

_VERSION_SECONDS = 30.0


def script(name: str) -> Path:
    """A console script of this installation, which lies beside its interpreter."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        raise SandboxError(f"{path} is missing: pip install node-fsm-sandbox into the environment of {sys.executable}")
    return path


@dataclass(frozen=True, slots=True)
class Binaries:
    """Two executables and what they say of themselves, the line of ``--full-version``."""

    jcli: Path
    jormungandr: Path
    jcli_version: str
    jormungandr_version: str

    @classmethod
    async def find(cls, jcli: Path | None, jormungandr: Path | None) -> Self:
        """The executables at these paths or of these names in PATH; the stand-ins when both are None."""
        if (jcli is None) != (jormungandr is None):
            raise UsageError("--jcli and --jormungandr belong together: give both, or none for the stand-ins")
        found_jcli = _executable(jcli) if jcli else script("sandbox-jcli")
        found_jormungandr = _executable(jormungandr) if jormungandr else script("sandbox-jormungandr")
        versions = await asyncio.gather(_version(found_jcli, "jcli"), _version(found_jormungandr, "jormungandr"))
        return cls(found_jcli, found_jormungandr, *versions)

    def __str__(self) -> str:
        versions = f"{self.jcli_version} and {self.jormungandr_version}"
        return f"the stand-ins {versions}" if "(sandbox" in versions else versions


def _executable(path: Path) -> Path:
    found = shutil.which(path)
    if found is None:
        raise UsageError(f"{path} is no executable file")
    return Path(found).absolute()


async def _version(executable: Path, name: str) -> str:
    try:
        completed = await run_command(
            [str(executable), "--full-version"], setting=f"--{name}", timeout=_VERSION_SECONDS
        )
    except ServiceError as error:
        raise UsageError(f"{executable} does not tell its version: {error.message}") from None
    version = completed.stdout.decode(errors="replace").strip()
    if not version.startswith(f"{name} "):
        raise UsageError(f"{executable} is no {name}: of its version it says {version!r}")
    return version
