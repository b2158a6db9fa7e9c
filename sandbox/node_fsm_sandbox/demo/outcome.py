"""What came of the demo, beside what was drawn, what of it does not match, and the report of it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from node_fsm.core.phases import Phase
from node_fsm_sandbox.election.binaries import Binaries
from node_fsm_sandbox.election.draw import DrawnElection


@dataclass(frozen=True, slots=True)
class Step:
    """A phase that a node came into."""

    election: str | None
    phase: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive and the checks of its copy on this disk; *faults* are those that failed."""

    uri: str
    copy: Path
    checks: int
    faults: tuple[str, ...]

    @property
    def verified(self) -> bool:
        """Whether it was checked and found whole."""
        return self.checks > 0 and not self.faults


@dataclass(frozen=True, slots=True)
class ElectionOutcome:
    """One election at its end; *results* are empty, *archive* is None when there is none."""

    drawn: DrawnElection
    block0_hash: str | None = None
    results: dict[str, list[int]] = field(default_factory=dict)
    on_chain: bool = False
    archive: Archive | None = None

    def problems(self) -> list[str]:
        """What does not match."""
        name = self.drawn.name
        found = []
        if self.results != self.drawn.expected():
            found.append(f"{name}: the results are not what was drawn")
        if not self.on_chain:
            found.append(f"{name}: the tally is not on the chain")
        if self.archive is None:
            found.append(f"{name}: there is no final archive")
        elif not self.archive.verified:
            found.append(f"{name}: its archive is not whole: {'; '.join(self.archive.faults)}")
        return found


@dataclass(frozen=True, slots=True)
class NodeOutcome:
    """One node at its end."""

    hostname: str
    kind: str
    restarts: int
    steps: tuple[Step, ...]

    def problems(self, elections: Sequence[str]) -> list[str]:
        """What it did not do: run each election, and come back to Waiting after it."""
        found = []
        for election in elections:
            phases = [step.phase for step in self.steps if step.election == election]
            if Phase.RUNNING not in phases or phases[-1] != Phase.WAITING:
                found.append(f"{self.hostname}: in {election} its phases were {', '.join(phases) or 'none'}")
        return found


@dataclass(slots=True)
class Outcome:
    """All of it: why the demo *stopped* before its end, if it did, and the *problems*: what did not match."""

    elections: list[ElectionOutcome] = field(default_factory=list)
    nodes: list[NodeOutcome] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    stopped: str | None = None

    @property
    def matched(self) -> bool:
        """Whether it came to its end, and everything matched."""
        return not self.problems and self.stopped is None


def report(outcome: Outcome, binaries: Binaries) -> dict[str, Any]:
    """The JSON object of ``--report``, for programs: its names are part of the interface."""
    return {
        "ok": outcome.matched,
        "elections": [_election(election) for election in outcome.elections],
        "nodes": {node.hostname: _node(node) for node in outcome.nodes},
        "jcli_version": binaries.jcli_version,
        "jormungandr_version": binaries.jormungandr_version,
    }


def _election(election: ElectionOutcome) -> dict[str, Any]:
    archive = election.archive
    return {
        "name": election.drawn.name,
        "block0_hash": election.block0_hash,
        "expected": election.drawn.expected(),
        "results": election.results,
        "archive": {"uri": archive.uri if archive else None, "verified": bool(archive and archive.verified)},
    }


def _node(node: NodeOutcome) -> dict[str, Any]:
    return {
        "role": node.kind,
        "restarts": node.restarts,
        "phases": [{"election": step.election, "phase": step.phase, "at": step.at.isoformat()} for step in node.steps],
    }
