"""The bodies of the sidecar's answers. Field names are part of the interface."""

from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel

from node_fsm.core.phases import Phase, Role
from node_fsm.core.tally_progress import TallyProgress
from node_fsm.core.view import Deadline
from node_fsm.engine.status import ServiceStatus
from node_fsm.log import redact


class Health(BaseModel):
    """Whether all is well, and if not why."""

    status: Literal["ok", "failing"]
    reasons: list[str]

    @classmethod
    def of(cls, reasons: tuple[str, ...]) -> Self:
        """Well exactly when there are no *reasons* against it."""
        return cls(status="failing" if reasons else "ok", reasons=[redact(reason) for reason in reasons])


class NextDeadline(BaseModel):
    """The next moment at which the clock alone changes something, and of which election; that may be one to come."""

    name: str
    at: datetime
    election: str | None

    @classmethod
    def of(cls, deadline: Deadline) -> Self:
        """The same, as ``/state`` has it."""
        return cls(name=deadline.name, at=deadline.at, election=deadline.election)


class HeldCondition(BaseModel):
    """A condition beside the phase. Only those that hold are listed, so *status* is always true."""

    type: str
    status: Literal[True] = True
    reason: str
    message: str
    since: datetime


class Member(BaseModel):
    """A member of the committee, numbered from 0, and for how many plans a share of theirs is there and holds."""

    index: int
    public_key: str
    posted_plans: int


class PrivateTally(BaseModel):
    """How far the private votes are opened, who has posted shares, and how long they are still taken."""

    plans: int
    plans_decrypted: int
    members: list[Member]
    awaited: list[int]
    shares_until: datetime
    seconds_left: float

    @classmethod
    def of(cls, told: TallyProgress, seconds_left: float) -> Self:
        """*awaited* are the members of whom shares are missing, in plans that are not decrypted."""
        waits = told.decrypted < told.plans
        return cls(
            plans=told.plans,
            plans_decrypted=told.decrypted,
            members=[
                Member(index=member.index, public_key=member.public_key, posted_plans=member.plans)
                for member in told.members
            ],
            awaited=[member.index for member in told.members if waits and member.plans < told.plans],
            shares_until=told.until,
            seconds_left=round(seconds_left, 1),
        )


class State(BaseModel):
    """What ``/state`` answers."""

    phase: Phase
    since: datetime
    role: Role
    hostname: str
    election: str | None
    block0_hash: str | None
    next_deadline: NextDeadline | None
    conditions: list[HeldCondition]
    last_error: str | None
    private_tally: PrivateTally | None = None

    @classmethod
    def of(cls, state: ServiceStatus) -> Self:
        """The public part of *state*."""
        return cls(
            phase=state.phase,
            since=state.since,
            role=state.role,
            hostname=state.hostname,
            election=state.election,
            block0_hash=state.block0_hash,
            next_deadline=NextDeadline.of(state.next_deadline) if state.next_deadline else None,
            conditions=[
                HeldCondition(type=held.type, reason=held.reason, message=redact(held.message), since=held.since)
                for held in state.conditions
            ],
            last_error=redact(state.last_error) if state.last_error else None,
            private_tally=PrivateTally.of(state.tally, state.seconds_left or 0.0) if state.tally else None,
        )
