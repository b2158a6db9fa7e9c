"""What stands in an import file: an election as an operator writes it down, each value with the form it must have."""

from datetime import datetime, timedelta
from typing import Annotated
from unicodedata import category

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from node_fsm.chain.limits import MAX_OPTIONS
from node_fsm.core.chain_time import END_OF_TIME, FIRST_TIME
from node_fsm.core.external_id import derived_external_id
from node_fsm.core.model import CommitteeMember, ElectionSpec, Objective, Proposal
from node_fsm.core.payload_type import PayloadType
from node_fsm.importing.keys import hex_of_32_bytes, member_key

MAX_TEXT = 500
"""Characters of a name, a title or an option; the database's index on names takes no more than 2,704 bytes."""

_BIGINT = 2**63 - 1
_INTEGER = 2**31 - 1


def _time(text: object) -> datetime:
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        raise ValueError("must be a date and time with its zone, as 2030-01-31T12:00:00Z") from None
    offset = time.utcoffset()
    if offset is None:
        raise ValueError("has no time zone; add Z for UTC, or an offset as +02:00")
    if offset % timedelta(minutes=1):
        raise ValueError("has a time zone with seconds; give an offset of hours and minutes as +02:00, or Z for UTC")
    if time.microsecond:
        raise ValueError("must be a whole second")
    if not FIRST_TIME <= time < END_OF_TIME:
        raise ValueError(f"must be from the year {FIRST_TIME:%Y} on and before {END_OF_TIME:%Y}; correct the year")
    return time


def _printable(text: str) -> str:
    for character in text:
        if category(character) == "Cc" and character not in "\r\n\t":
            raise ValueError(f"has the control character {character!r}; remove it")
    return text


def _one_line(text: str) -> str:
    """*text*, which a backslash in double quotes, as in "C:\\new", makes another one than was meant."""
    if set(text) & set("\r\n\t"):
        raise ValueError(r"must be one line without tabs; in double quotes \n and \t are those: use single quotes")
    return _printable(text)


Prose = Annotated[str, AfterValidator(_printable)]
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT), AfterValidator(_one_line)]
Time = Annotated[datetime, BeforeValidator(_time)]
Hex = Annotated[str, AfterValidator(hex_of_32_bytes)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class MemberEntry(_Entry):
    """A committee member; *id* in lower-case hex."""

    id: Hex
    member_index: Annotated[int, Field(ge=0, le=_INTEGER)]
    member_public_key: Annotated[str, AfterValidator(member_key)] | None = None


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

    def specification(self) -> ElectionSpec:
        """What this file asks for, all but the voters, in the order of the file; the rows have no ids yet."""
        return ElectionSpec(
            id=0,
            name=self.name,
            revision=0,
            fingerprint="",
            voting_start=self.voting_start,
            voting_end=self.voting_end,
            tallying_end=self.tallying_end,
            committee_threshold=self.committee_threshold,
            voting_power_unit=self.voting_power_unit,
            committee=tuple(
                CommitteeMember(member.id, member.member_index, member.member_public_key) for member in self.committee
            ),
            objectives=tuple(self._objective(index, entry) for index, entry in enumerate(self.objectives)),
            groups=(),
            fund_holders=0,
            address_prefixes=(),
        )

    def external_id(self, index: int, number: int) -> bytes:
        """The 32 bytes that name a proposal on the chain, by the positions of its objective and of itself."""
        objective = self.objectives[index]
        proposal = objective.proposals[number]
        if proposal.external_id:
            return bytes.fromhex(proposal.external_id)
        return derived_external_id(self.name, index, objective.title, number, proposal.title)

    def _objective(self, index: int, entry: ObjectiveEntry) -> Objective:
        proposals = (
            Proposal(number, self.external_id(index, number), tuple(proposal.options))
            for number, proposal in enumerate(entry.proposals)
        )
        return Objective(index, entry.title, entry.payload_type, entry.voting_group, tuple(proposals))
