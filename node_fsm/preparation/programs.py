"""jcli and jormungandr: whether they are there, are what they should be, and fit together."""

from pathlib import Path

from node_fsm.block0.checks.capacity import blocks_too_large
from node_fsm.block0.template import load_template
from node_fsm.core.errors import PermanentError
from node_fsm.node.supervisor import node_version
from node_fsm.preparation.finding import Doubt
from node_fsm.programs.jcli import Jcli


class Programs:
    """Checks of the two programs; the second compares them."""

    def __init__(self, jcli: str, jormungandr: str) -> None:
        self._jcli = jcli
        self._jormungandr = jormungandr
        self._versions: dict[str, str] = {}

    async def jcli(self) -> str | Doubt:
        """The version of jcli."""
        return self._told("jcli", await Jcli(self._jcli).version(), "NODE_FSM_JCLI_PATH", self._jcli)

    async def jormungandr(self) -> str | Doubt:
        """The version of jormungandr, which must be that of jcli."""
        version = await node_version(self._jormungandr)
        told = self._told("jormungandr", version, "NODE_FSM_JORM_PATH", self._jormungandr)
        jcli = self._versions.get("jcli")
        if jcli and _release(jcli) != _release(version):
            return Doubt(f"{version}, but jcli is {jcli}: have both from the same release, or block 0 may be refused")
        return told

    def _told(self, name: str, version: str, setting: str, path: str) -> str | Doubt:
        if not version.startswith(f"{name} "):
            raise PermanentError(
                "ProgramWrong", f"{path} is no {name}: of its version it says {version[:100]!r}; correct {setting}"
            )
        self._versions[name] = version
        if "(sandbox" in version:
            return Doubt(f"{version}: a stand-in, whose elections mean nothing; set {setting} to the real {name}")
        return version


def _release(version: str) -> str:
    """The number in ``jcli 0.13.0 (…)``."""
    return version.split()[1] if len(version.split()) > 1 else version


async def template(path: Path) -> str | Doubt:
    """Whether the block 0 template can be used."""
    found = load_template(path)
    if problem := blocks_too_large(found):
        return Doubt(problem[1])
    return f"{path}: slots of {found.slot_duration} s, {found.slots_per_epoch} in an epoch"
