"""How far the opening of an election's private votes is: what people are shown while members' shares are awaited."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class MemberProgress:
    """A member of the committee, numbered from 0, and for how many plans a share of theirs holds."""

    index: int
    public_key: str
    plans: int


@dataclass(frozen=True, slots=True)
class TallyProgress:
    """The private *plans* of the chain of *block0_hash*, and how many of them are *decrypted*.

    Shares are taken until *until*.
    """

    block0_hash: str
    plans: int
    decrypted: int
    members: tuple[MemberProgress, ...]
    until: datetime
