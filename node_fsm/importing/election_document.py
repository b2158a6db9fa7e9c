"""The import file as a whole: read, checked, and its problems told by line and column. Pure: touches nothing.

Everything that can be told from the file and the block 0 template is checked at once, by the same checks by which
leader 0 checks the rows, so that one attempt names all there is to mend.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from node_fsm.block0.checks.problem import VOTERS, Path, Problem
from node_fsm.block0.specification import election_problems
from node_fsm.block0.template import Template
from node_fsm.core.chain_time import chain_start
from node_fsm.importing.election_file import ElectionFile
from node_fsm.importing.errors import InputFileError
from node_fsm.importing.located_yaml import Located, YamlError, path_text, read_yaml


@dataclass(frozen=True, slots=True)
class ElectionDocument:
    """A checked import file, with the places of what stands in it, and the chain that it is checked for."""

    file: str
    election: ElectionFile
    template: Template
    offset_minutes: float
    located: Located

    def placed(self, problems: list[Problem], voters: str) -> list[str]:
        """Each problem with its file, line and column; those of all voters with the name of their file, *voters*."""
        of_voters = [f"{voters}: {problem.what}" for problem in problems if problem.path == VOTERS]
        return _with_places([problem for problem in problems if problem.path != VOTERS], self.located, self.file) + (
            of_voters
        )

    def warnings(self, now: datetime) -> list[str]:
        """What can be imported, and is probably not meant so."""
        doubts = [
            Problem(path, f"ends before {comment!r}, which is a comment; put it all in quotes if that is a part of it")
            for path, comment in self.located.comments.items()
            if _is_text(path)
        ]
        doubts += _times_that_passed(self.election, chain_start(*self._chain), now)
        return _with_places(doubts, self.located, self.file)

    @property
    def _chain(self) -> tuple[datetime, float, int]:
        return self.election.voting_start, self.offset_minutes, self.template.slot_duration


def parse_election(text: str, file: str, template: Template, offset_minutes: float) -> ElectionDocument:
    """Read the import file with the content *text*, for chains as *template* and *offset_minutes* make them.

    InputFileError names *file*, line, column and field of everything of which no chain can be made.
    """
    try:
        located = read_yaml(text)
    except YamlError as error:
        raise InputFileError([f"{file}, line {error.line}, column {error.column}: {error}"]) from None
    if not isinstance(located.value, dict):
        raise InputFileError([f"{file}: must be a mapping of field names to values, beginning with name:"])
    try:
        election = ElectionFile.model_validate(located.value)
    except ValidationError as error:
        problems = [_explained(fault, located) for fault in error.errors(include_url=False)]
        raise InputFileError(_with_places(problems, located, file)) from None
    if faults := list(election_problems(election.specification(), template, offset_minutes)):
        raise InputFileError(_with_places(faults, located, file))
    return ElectionDocument(file, election, template, offset_minutes, located)


def _with_places(problems: list[Problem], located: Located, file: str) -> list[str]:
    placed = sorted((located.place(path), path_text(path), message) for path, message in problems)
    return [f"{file}, line {line}, column {column}: {field} {message}" for (line, column), field, message in placed]


def _explained(fault: ErrorDetails, located: Located) -> Problem:
    """A fault that pydantic found, in words that say what to do."""
    path: Path = fault["loc"]
    comment = located.comments.get(path)
    if fault["input"] is None and fault["type"] != "missing" and comment:
        return Problem(path, f"is empty before the comment {comment!r}; put it in quotes if it is none")
    return Problem(path, _message(fault["type"], fault.get("ctx", {}), fault["msg"], is_empty=fault["input"] is None))


def _message(kind: str, limits: dict[str, Any], message: str, *, is_empty: bool) -> str:
    match kind:
        case "missing":
            return "is missing; add it"
        case "extra_forbidden":
            return "is not a field of the import file; remove it or correct its spelling"
        case "string_type" if is_empty:
            return "is empty; give a text, in quotes if it is to be ~ or null"
        case "string_type":
            return "must be a text; put it in quotes if it has brackets, braces or colons"
        case "string_too_short":
            return "is empty; give a text"
        case "string_too_long":
            return f"has more than {limits['max_length']} characters; shorten it"
        case "too_short":
            return "has no entries; give at least one"
        case "too_long":
            return f"has {limits['actual_length']} entries; give at most {limits['max_length']}"
        case "int_type" | "int_parsing" | "int_parsing_size":
            return "must be a whole number, in digits alone"
        case "greater_than_equal":
            return f"must be {limits['ge']} or more"
        case "less_than_equal":
            return f"must be {limits['le']} or less"
        case "enum":
            return f"must be {limits['expected']}"
        case "list_type":
            return "must be a list: a line with - for each entry, or [one, other]"
        case "model_type" | "model_attributes_type":
            return "must be lines of name: value, indented below it"
    return message.removeprefix("Value error, ")


def _is_text(path: Path) -> bool:
    """Whether any text can be the value at *path*: a comment behind a number or a time is one."""
    return path[-1] in {"name", "description", "title", "voting_group"} or path[-2:-1] == ("options",)


def _times_that_passed(election: ElectionFile, begins: datetime, now: datetime) -> Iterator[Problem]:
    if election.voting_end <= now:
        yield Problem(("voting_end",), "has passed, so that the election will not start; give it later times")
    elif election.voting_start <= now:
        yield Problem(("voting_start",), "has passed: voting begins late, as soon as the chain runs")
    elif begins <= now:
        yield Problem(
            ("voting_start",),
            f"is so near that its chain should have begun at {begins.isoformat()}, as"
            " NODE_FSM_VOTING_START_OFFSET_MINUTES says: voting begins late if block 0 and nodes are not ready by then",
        )
