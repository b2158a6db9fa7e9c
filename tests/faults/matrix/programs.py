"""jcli and jormungandr behind scripts that a test can have pause, fail, or end with an exit code."""

from collections.abc import Iterable
from pathlib import Path

from node_fsm.core.phases import Phase
from tests.contract.binaries import Binaries

_JCLI = """#!/bin/sh
case "$*" in
  "key to-public"*) phase=FetchingKey;;
  "certificate new vote-plan"*) phase=BuildingVotePlan;;
  genesis*) phase=GeneratingBlock0;;
  *vote-tally*) phase=Tallying;;
  *) phase=none;;
esac
while [ -e '{here}/pause '"$phase" ]; do sleep 0.2; done
if [ -e '{here}/fail '"$phase" ]; then echo 'jcli was told to fail' >&2; exit 1; fi
exec '{jcli}' "$@"
"""

_NODE = """#!/bin/sh
if [ "$1" != --full-version ] && [ -e '{here}/exit' ]; then
  echo 'jormungandr was told to end' >&2
  echo >> '{here}/ends'
  exit "$(cat '{here}/exit')"
fi
exec '{jormungandr}' "$@"
"""

CALLING = frozenset({Phase.FETCHING_KEY, Phase.BUILDING_VOTE_PLAN, Phase.GENERATING_BLOCK0, Phase.TALLYING})
"""The phases that call jcli."""


class Programs:
    """The two programs as one service is given them, and the files in *directory* by which they are told what to do."""

    def __init__(self, binaries: Binaries, directory: Path) -> None:
        directory.mkdir()
        self._here = directory
        self.jcli = _script(directory / "jcli", _JCLI.format(here=directory, jcli=binaries.jcli))
        self.jormungandr = _script(
            directory / "jormungandr", _NODE.format(here=directory, jormungandr=binaries.jormungandr)
        )

    def pause(self, phase: Phase) -> None:
        """Have jcli's call of *phase* begin only after :meth:`go_on`."""
        (self._here / f"pause {phase}").touch()

    def go_on(self, phase: Phase) -> None:
        (self._here / f"pause {phase}").unlink(missing_ok=True)

    def fail(self, phase: Phase) -> None:
        """Have jcli's call of *phase* end with 1 until :meth:`mend`."""
        (self._here / f"fail {phase}").touch()

    def mend(self, phases: Iterable[Phase] = CALLING) -> None:
        """Undo :meth:`fail` and :meth:`exit_with`."""
        for phase in phases:
            (self._here / f"fail {phase}").unlink(missing_ok=True)
        (self._here / "exit").unlink(missing_ok=True)

    @property
    def ends(self) -> int:
        """How often the node has ended as it was told to since :meth:`exit_with`."""
        ends = self._here / "ends"
        return len(ends.read_text()) if ends.exists() else 0

    def exit_with(self, code: int) -> None:
        """Have the node end with *code* at each start until :meth:`mend`."""
        (self._here / "ends").unlink(missing_ok=True)
        (self._here / "exit").write_text(str(code))


def _script(path: Path, source: str) -> Path:
    path.write_text(source)
    path.chmod(0o700)
    return path
