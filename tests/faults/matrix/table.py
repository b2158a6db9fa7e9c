"""The fault matrix, ``fault_matrix.tsv``: which fault is tried in which phase of which node, and what is promised."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from node_fsm.core.phases import Phase

FILE = Path(__file__).parents[1] / "fault_matrix.tsv"

NOTHING = "-"
ROLES = ("leader0", "leader", "follower")

PHASES = {
    "leader0": tuple(Phase),
    "leader": (Phase.WAITING, Phase.FETCHING_KEY, Phase.RUNNING, Phase.RESET),
    "follower": (Phase.WAITING, Phase.FETCHING_KEY, Phase.RUNNING, Phase.RESET),
}
"""The phases of each role, in the order of an election."""


class Promise(StrEnum):
    """What a cell promises; the letters of the table."""

    WAITS = "W"
    NODE_KEPT = "K"
    REDONE = "D"
    ADOPTED = "A"
    FOUND = "P"
    RESTARTED = "R"
    SET_ASIDE = "Q"
    STOPPED = "S"
    HELD = "H"
    FENCED = "X"
    ENDED = "E"
    LIVENESS = "L"
    MONOTONE = "M"
    GOES_ON = "G"


@dataclass(frozen=True, slots=True)
class Cell:
    """One fault in one phase of one role. *simulated* cells run on the engine of the simulation, all others by real
    means on processes."""

    fault: str
    phase: Phase
    role: str
    promise: Promise
    simulated: bool

    def __str__(self) -> str:
        return f"{self.fault}-{self.phase}-{self.role}"


def read(file: Path = FILE) -> list[Cell]:
    """All cells in which something is promised; ValueError names a row that is none."""
    with file.open(newline="") as stream:
        return [cell for row in csv.DictReader(stream, delimiter="\t") for cell in _cells(row)]


def _cells(row: dict[str, str]) -> Iterator[Cell]:
    fault, role = row["id"], row["role"]
    if role not in ROLES:
        raise ValueError(f"{fault}: the role {role!r} is none of {', '.join(ROLES)}")
    for phase in Phase:
        letter = row[phase]
        if letter == NOTHING:
            continue
        if phase not in PHASES[role]:
            raise ValueError(f"{fault}: a {role} has no {phase}")
        yield Cell(fault, phase, role, Promise(letter.upper()), simulated=letter.islower())
