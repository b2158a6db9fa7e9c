"""What members of a cluster said of themselves over time."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from node_fsm_sandbox.election.cluster import Member

from node_fsm.core.errors import ServiceError

POLL_SECONDS = 0.3


class Sample(NamedTuple):
    """A member at one moment, in seconds; *tip* is None while its node does not answer."""

    at: float
    phase: str | None
    conditions: dict[str, str]
    tip: str | None


@dataclass
class Timeline:
    """The samples of each member, in seconds from *began*."""

    began: datetime
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def now(self) -> float:
        return (datetime.now(UTC) - self.began).total_seconds()

    async def watch(self, member: Member) -> None:
        """Take samples of a member; never returns."""
        samples = self.samples.setdefault(member.hostname, [])
        while True:
            state = await member.service.state()
            stats = None
            with suppress(ServiceError):  # it is not there now, which is a sample too
                stats = await member.node.stats()
            samples.append(
                Sample(
                    at=self.now(),
                    phase=state.phase if state else None,
                    conditions={held.type: held.reason for held in state.conditions} if state else {},
                    tip=stats.tip if stats else None,
                )
            )
            await asyncio.sleep(POLL_SECONDS)

    def first(self, hostname: str, condition: str, after: float = float("-inf")) -> float | None:
        """When a member first said a condition, in seconds; None if it never did."""
        said = (sample.at for sample in self.samples[hostname] if sample.at >= after and condition in sample.conditions)
        return next(said, None)

    def one_tip(self, after: float) -> float | None:
        """When all members were first on one tip again; None if they never were."""
        latest: dict[str, str | None] = {}
        moments = sorted((one.at, name, one.tip) for name, samples in self.samples.items() for one in samples)
        for at, name, tip in moments:
            if at >= after:
                latest[name] = tip
                if len(latest) == len(self.samples) and len(set(latest.values())) == 1 and tip:
                    return at
        return None

    def entered(self, hostname: str, phase: str) -> float | None:
        """When a member was first seen in a phase."""
        return next((sample.at for sample in self.samples[hostname] if sample.phase == phase), None)

    def told(self) -> dict[str, list[str]]:
        """What changed at each member: conditions that came (+) and went (-), phases, with their times."""
        return {name: list(_changes(samples)) for name, samples in self.samples.items()}


def _changes(samples: Iterable[Sample]) -> Iterable[str]:
    phase: str | None = None
    said: set[str] = set()
    for sample in samples:
        if sample.phase is None:
            continue
        if sample.phase != phase:
            phase = sample.phase
            yield f"{sample.at:.1f} {phase}"
        now = {f"{type_}/{reason}" for type_, reason in sample.conditions.items()}
        yield from [f"{sample.at:.1f} +{one}" for one in sorted(now - said)]
        yield from [f"{sample.at:.1f} -{one}" for one in sorted(said - now)]
        said = now
