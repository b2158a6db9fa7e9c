"""What the members of a committee open private votes with, as it is kept: sums of votes, and the members' shares."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

Share = tuple[str, ...]
"""A member's decryption share of a plan, as jcli prints it: base64, one for each proposal in the plan's order."""

Results = tuple[tuple[int, ...], ...]
"""The votes of a plan in units of the voting token: ``results[proposal][option]``."""


def read_share(value: object) -> Share | None:
    """The share that is in a JSON document; None when it is no list of texts. What is in the texts is not looked at."""
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        return None
    return tuple(value)


@dataclass(frozen=True, slots=True)
class SavedSnapshot:
    """The node's account of a plan after voting, stored once: *printed* as it said it, *hash* what shares refer to."""

    plan_id: str
    printed: Any
    hash: str


@dataclass(frozen=True, slots=True)
class PostedShare:
    """A member's share of a plan, made of the snapshot with *snapshot_hash*; nobody has checked it.

    *member_key* is the member's public key, by which the plan on the chain names it. *posted_at* is the database's
    time, None before it stands there.
    """

    plan_id: str
    snapshot_hash: str
    member_key: str
    share: Share
    posted_at: datetime | None = None
