"""The lease's row and its rules, in memory."""

from dataclasses import dataclass, replace
from datetime import datetime

from node_fsm.core.cluster import Lease


@dataclass(frozen=True)
class HeldLease:
    """Who may publish: a process of a host and its storage (*instance*), until *expires_at*."""

    holder: str
    instance: str
    process: str
    generation: int
    expires_at: datetime
    stopped: bool = False
    unconfirmed_holder: str | None = None

    def as_lease(self) -> Lease:
        """As its holder has it."""
        return Lease(self.holder, self.generation, self.expires_at, self.unconfirmed_holder)

    def is_free_for(self, holder: str, instance: str, now: datetime) -> bool:
        """Whether this one may take or renew it."""
        is_own = (self.holder, self.instance) == (holder, instance) or self.unconfirmed_holder == holder
        return self.stopped or self.expires_at <= now or is_own

    def taken(self, holder: str, instance: str, process: str, until: datetime) -> "HeldLease":
        """After *holder* took or renewed it."""
        unconfirmed = self.unconfirmed_holder or (None if self.stopped else self.holder)
        return HeldLease(
            holder=holder,
            instance=instance,
            process=process,
            generation=self.generation + (self.process != process),
            expires_at=until,
            unconfirmed_holder=None if unconfirmed == holder else unconfirmed,
        )

    def released(self, lease: Lease) -> "HeldLease":
        """After *lease*'s holder said that it stopped."""
        if self.generation != lease.generation and self.unconfirmed_holder != lease.holder:
            return self
        unconfirmed = None if self.unconfirmed_holder == lease.holder else self.unconfirmed_holder
        stopped = self.stopped or self.generation == lease.generation
        return replace(self, stopped=stopped, unconfirmed_holder=unconfirmed)
