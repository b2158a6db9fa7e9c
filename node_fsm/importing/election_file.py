"""The import file: an election as an operator writes it down, in YAML. Pure: reads a text, touches nothing.

Everything that can be told from the file alone is checked at once, so that one attempt names all there is to mend.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated
from unicodedata import category

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from node_fsm.chain import bech32
from node_fsm.chain.address import KEY_SIZE, MEMBER_KEY_PREFIX
from node_fsm.chain.limits import MAX_OPTIONS
from node_fsm.core.errors import InvalidInputError
from node_fsm.core.payload_type import PayloadType
from node_fsm.importing.located_yaml import Located, Path, YamlError, path_text, read_yaml

MAX_PROBLEMS = 20
MAX_TEXT = 500
"""Characters of a name, a title or an option; the database's index on names takes no more than 2,704 bytes."""

_BIGINT = 2**63 - 1
_INTEGER = 2**31 - 1


class InputFileError(InvalidInputError):
    """A file that cannot be imported; the message has the first MAX_PROBLEMS of its *problems*."""

    def __init__(self, problems: list[str]) -> None:
        shown = problems[:MAX_PROBLEMS]
        if len(problems) > len(shown):
            shown.append("there are more; mend these first")
        super().__init__("InputFileInvalid", shown)
        self.problems = tuple(problems)


def hex_of_32_bytes(text: str) -> str:
    """64 lower-case hex digits, from upper or lower case, with or without ``0x``; ValueError otherwise.

    The error does not repeat the text: it may be a secret key in the wrong place.
    """
    digits = text.strip().lower().removeprefix("0x")
    if len(digits) != 2 * KEY_SIZE or set(digits) - set("0123456789abcdef"):
        raise ValueError(f"must be {KEY_SIZE} bytes in hex: {2 * KEY_SIZE} digits, 0x before them is allowed")
    return digits


def _time(text: object) -> datetime:
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        raise ValueError("must be a date and time with its zone, as 2030-01-31T12:00:00Z") from None
    if time.tzinfo is None:
        raise ValueError("has no time zone; add Z for UTC, or an offset as +02:00")
    if time.microsecond:
        raise ValueError("must be a whole second")
    return time


def _member_key(text: str) -> str:
    try:
        prefix, data = bech32.decode(text)
    except ValueError as error:
        raise ValueError(f"is not a member's public key ({MEMBER_KEY_PREFIX}1…): {error}") from None
    if prefix != MEMBER_KEY_PREFIX or len(data) != KEY_SIZE:
        raise ValueError(f"is not a member's public key ({MEMBER_KEY_PREFIX}1…)")
    return text


def _printable(text: str) -> str:
    for character in text:
        if category(character) == "Cc" and character not in "\r\n\t":
            raise ValueError(f"has the control character {character!r}; remove it")
    return text


Prose = Annotated[str, AfterValidator(_printable)]
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT), AfterValidator(_printable)]
Time = Annotated[datetime, BeforeValidator(_time)]
Hex = Annotated[str, AfterValidator(hex_of_32_bytes)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class MemberEntry(_Entry):
    """A committee member; *id* in lower-case hex."""

    id: Hex
    member_index: Annotated[int, Field(ge=0, le=_INTEGER)]
    member_public_key: Annotated[str, AfterValidator(_member_key)] | None = None


class ProposalEntry(_Entry):
    """A proposal; *external_id* in lower-case hex, derived at import when it is None."""

    title: Text
    options: Annotated[list[Text], Field(min_length=1, max_length=MAX_OPTIONS)]
    external_id: Hex | None = None


class ObjectiveEntry(_Entry):
    """Proposals voted on by one group in one way."""

    title: Text
    payload_type: PayloadType
    voting_group: Text
    proposals: Annotated[list[ProposalEntry], Field(min_length=1)]


class ElectionFile(_Entry):
    """A checked import file; read one with :func:`parse_election`."""

    name: Text
    description: Prose = ""
    voting_start: Time
    voting_end: Time
    tallying_end: Time
    committee_threshold: Annotated[int, Field(ge=0, le=_INTEGER)]
    voting_power_unit: Annotated[int, Field(ge=1, le=_BIGINT)] = 1
    committee: list[MemberEntry] = []
    objectives: Annotated[list[ObjectiveEntry], Field(min_length=1)]

    @property
    def voting_groups(self) -> frozenset[str]:
        """The groups that vote."""
        return frozenset(objective.voting_group for objective in self.objectives)


def parse_election(text: str, file: str) -> ElectionFile:
    """Read the import file with the content *text*; InputFileError names *file*, line, column and field."""
    try:
        located = read_yaml(text)
    except YamlError as error:
        raise InputFileError([f"{file}, line {error.line}, column {error.column}: {error}"]) from None
    if not isinstance(located.value, dict):
        raise InputFileError([f"{file}: must be a mapping of field names to values, beginning with name:"])
    try:
        election = ElectionFile.model_validate(located.value)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        problems = [(fault["loc"], _message(fault["type"], fault["msg"])) for fault in faults]
        raise InputFileError(_with_places(problems, located, file)) from None
    if faults_between := list(_faults_between_fields(election)):
        raise InputFileError(_with_places(faults_between, located, file))
    return election


def _with_places(problems: list[tuple[Path, str]], located: Located, file: str) -> list[str]:
    placed = sorted((located.place(path), path_text(path), message) for path, message in problems)
    return [f"{file}, line {line}, column {column}: {field} {message}" for (line, column), field, message in placed]


def _message(kind: str, message: str) -> str:
    if kind == "missing":
        return "is missing; add it"
    if kind == "extra_forbidden":
        return "is not a field of the import file; remove it or correct its spelling"
    own = message.removeprefix("Value error, ")
    return own if own != message else f"is not valid: {message[:1].lower()}{message[1:]}"


def _faults_between_fields(election: ElectionFile) -> Iterator[tuple[Path, str]]:
    if election.voting_end <= election.voting_start:
        yield ("voting_end",), f"must be after voting_start, {election.voting_start.isoformat()}"
    if election.tallying_end <= election.voting_end:
        yield ("tallying_end",), f"must be after voting_end, {election.voting_end.isoformat()}"
    yield from _committee_faults(election)
    external_ids = set()
    for index, objective in enumerate(election.objectives):
        for number, proposal in enumerate(objective.proposals):
            path: Path = ("objectives", index, "proposals", number)
            if repeated := _repeated(proposal.options):
                yield (*path, "options"), f"has {repeated[0]!r} twice"
            ballot = (objective.voting_group, objective.payload_type, proposal.external_id)
            if proposal.external_id and ballot in external_ids:
                yield (
                    (*path, "external_id"),
                    f"is also that of an earlier {objective.payload_type} proposal of group {objective.voting_group!r}",
                )
            external_ids.add(ballot)


def _committee_faults(election: ElectionFile) -> Iterator[tuple[Path, str]]:
    members = election.committee
    for field in ("id", "member_index", "member_public_key"):
        seen = set()
        for number, member in enumerate(members):
            value = getattr(member, field)
            if value is not None and value in seen:
                yield ("committee", number, field), "is also that of an earlier member"
            seen.add(value)
    private = [objective.title for objective in election.objectives if objective.payload_type is PayloadType.PRIVATE]
    if not private:
        return
    why = f"because objective {private[0]!r} is private, and its tally needs the share of every member"
    if not members:
        yield ("committee",), f"must have members, {why}"
    elif election.committee_threshold != len(members):
        yield ("committee_threshold",), f"must be the number of members, {len(members)}, {why}"
    for number, member in enumerate(members):
        if member.member_public_key is None:
            yield ("committee", number, "member_public_key"), f"must be given, {why}"


def _repeated(texts: list[str]) -> list[str]:
    return [text for text, times in Counter(texts).items() if times > 1]
