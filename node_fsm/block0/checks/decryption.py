"""Whether private votes can be opened in the time there is for it."""

from collections.abc import Iterator

from node_fsm.block0.checks.ballot import private_objectives
from node_fsm.block0.checks.problem import Problem
from node_fsm.block0.plans import ballots
from node_fsm.block0.template import Template
from node_fsm.core.decryption import DecryptionLimit
from node_fsm.core.model import ElectionSpec
from node_fsm.core.payload_type import PayloadType

_LARGEST_UNIT = 2**63 - 1


def decryption_problems(spec: ElectionSpec, template: Template, limit: DecryptionLimit) -> Iterator[Problem]:
    """Everybody may vote, and all for one option: the estimate is for the most votes that there can be."""
    units = private_units(spec)
    seconds = decryption_seconds(spec, template, limit, 1)
    if seconds <= limit.seconds:
        return
    proposals = sum(len(objective.proposals) for objective in private_objectives(spec))
    yield Problem(
        ("voting_power_unit",),
        f"is {spec.voting_power_unit}, so that the private votes of up to {max(units.values())} units on {proposals}"
        f" proposals would take about {seconds:.0f} s to decrypt, longer than the {limit.seconds:g} s of"
        f" NODE_FSM_MAX_DECRYPT_SECONDS; {_advice(spec, template, limit)}",
    )


def decryption_seconds(spec: ElectionSpec, template: Template, limit: DecryptionLimit, divisor: int) -> float:
    """How long all private plans take at most, side by side, with a unit so many times as large; 0 without any."""
    units, members = private_units(spec), len(spec.committee)
    return limit.speed.side_by_side(
        limit.speed.of_plan(units.get(group, 0) // divisor, [len(proposal.options) for proposal in proposals], members)
        for group, payload_type, proposals in ballots(spec, template)
        if payload_type is PayloadType.PRIVATE
    )


def private_units(spec: ElectionSpec) -> dict[str, int]:
    """The units of voting power of each group that votes privately on something; empty without private votes."""
    units = {group.name: group.tokens for group in spec.groups}
    return {objective.voting_group: units.get(objective.voting_group, 0) for objective in private_objectives(spec)}


def _advice(spec: ElectionSpec, template: Template, limit: DecryptionLimit) -> str:
    divisor = 10
    while divisor * spec.voting_power_unit <= _LARGEST_UNIT:
        seconds = decryption_seconds(spec, template, limit, divisor)
        if seconds <= limit.seconds:
            return f"raise it to {divisor * spec.voting_power_unit} (about {seconds:.0f} s), or let it take longer"
        divisor *= 10
    return "have fewer private proposals, or let it take longer"
