"""What block 0 of an election will be, and about how long it takes to make: pure, and before anything is made."""

from dataclasses import dataclass

from node_fsm.block0.plans import ballots
from node_fsm.block0.template import Template
from node_fsm.core.model import ElectionSpec, Proposal
from node_fsm.core.payload_type import PayloadType

SECONDS_PER_BYTE = 1e-6
"""Of block 0: written as JSON, encoded by jcli, read and compared, and published. Measured with the real jcli on one
core of a small machine: 10 s for 150,000 voters, whose block 0 has 15 MB, of which jcli takes 3.4 s."""

SECONDS_PER_PLAN = 0.1
"""Four calls of jcli."""


@dataclass(frozen=True, slots=True)
class PlanForecast:
    """A vote plan: so many *voters* of the group, holding *units* together, vote on so many *proposals*."""

    index: int
    payload_type: PayloadType
    voting_group: str
    proposals: int
    options: int
    voters: int
    units: int


def plan_forecasts(spec: ElectionSpec, template: Template) -> tuple[PlanForecast, ...]:
    """The plans that the chain will have, in their order."""
    return tuple(
        plan_forecast(spec, index, payload_type, voting_group, proposals)
        for index, (voting_group, payload_type, proposals) in enumerate(ballots(spec, template))
    )


def plan_forecast(
    spec: ElectionSpec, index: int, payload_type: PayloadType, voting_group: str, proposals: tuple[Proposal, ...]
) -> PlanForecast:
    """One plan, with the voters that *spec* has for it."""
    group = next((group for group in spec.groups if group.name == voting_group), None)
    return PlanForecast(
        index=index,
        payload_type=payload_type,
        voting_group=voting_group,
        proposals=len(proposals),
        options=sum(len(proposal.options) for proposal in proposals),
        voters=group.token_holders if group else 0,
        units=group.tokens if group else 0,
    )


def build_seconds(size: int, plans: int) -> float:
    """About how long it takes to make and publish a block 0 of *size* bytes with so many plans."""
    return SECONDS_PER_BYTE * size + SECONDS_PER_PLAN * plans
