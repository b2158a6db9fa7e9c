"""Where a problem of a specification is, told by rows here; import files tell it by line and column."""

from typing import NamedTuple

from node_fsm.core.model import ElectionSpec

Path = tuple[str | int, ...]
"""How to reach a value of a specification from its top, by the names and positions that import files have, too."""

VOTERS: Path = ("voters",)
"""All voters: a file of their own."""

_ELECTION_COLUMNS = {"committee": "committee", "objectives": "objective", "voters": "voter"}


class Problem(NamedTuple):
    """*what* continues a sentence that begins with the value at *path*."""

    path: Path
    what: str


def row_text(spec: ElectionSpec, path: Path) -> str:
    """The value at *path* by table, column and row: ``proposal.options of proposal 7 (objective 2 'Roads')``."""
    match path:
        case ("objectives", int(index), "proposals", int(number), *field):
            objective = spec.objectives[index]
            row = f"proposal {objective.proposals[number].id} (objective {objective.id} {objective.title!r})"
            return f"proposal.{field[0]} of {row}" if field else row
        case ("objectives", int(index), str(field)):
            return f"objective.{field} of objective {spec.objectives[index].id} {spec.objectives[index].title!r}"
        case ("committee", int(index), str(field)):
            return f"committee.{field} of {spec.committee[index].id}"
        case (str(column),):
            return _ELECTION_COLUMNS.get(column, f"election.{column}")
    raise ValueError(f"nothing of a specification is at {path}")
