"""Whether a chain can hold the voters and their power."""

from collections.abc import Iterator

from node_fsm.block0.checks.ballot import groups_voted_in
from node_fsm.block0.checks.problem import VOTERS, Problem
from node_fsm.block0.genesis import ACCOUNT_FUND, block0_size, size_problem
from node_fsm.block0.plans import certificates_size, voting_token
from node_fsm.block0.template import Template
from node_fsm.core.model import ElectionSpec

MAX_UNITS = 2**63 - 1
"""Of all voters together: what a whole number in the database holds, where funds and results are summed."""


def voter_problems(spec: ElectionSpec, template: Template, leaders: int) -> Iterator[Problem]:
    """Of the voters, on a chain with so many *leaders*."""
    if spec.voting_power_unit <= 0:
        yield Problem(("voting_power_unit",), f"is {spec.voting_power_unit}; set it to 1 or more")
    if not any(group.voters for group in spec.groups):
        yield Problem(VOTERS, "has no rows; import the voters")
        return
    yield from _group_problems(spec)
    for prefix in sorted(set(spec.address_prefixes) - {template.address_prefix}):
        yield Problem(
            VOTERS,
            f"has addresses that begin with {prefix!r}, but those of this chain begin with {template.address_prefix!r};"
            " import the voters again with the block 0 template of this service, or correct its discrimination",
        )
    units = sum(group.tokens for group in spec.groups)
    accounts = ACCOUNT_FUND * (1 + len(spec.committee))
    most = min(MAX_UNITS, template.max_funds - accounts)
    if units > most:
        yield Problem(
            VOTERS,
            f"has a voting_power of {units} units in all, but a chain holds at most {most}, beside treasury, rewards"
            " and the funds of leader 0 and committee; raise voting_power_unit",
        )
    if problem := size_problem(expected_size(spec, template, leaders)):
        yield Problem(VOTERS, f"has too many for a chain: {problem}")


def _group_problems(spec: ElectionSpec) -> Iterator[Problem]:
    groups = {group.name: group for group in spec.groups if group.voters}
    for name, index in groups_voted_in(spec).items():
        group = groups.get(name)
        if group is None:
            yield Problem(
                ("objectives", index, "voting_group"),
                f"is {name!r}, which has no voters; import voters of that group, or correct its name",
            )
        elif not group.token_holders:
            yield Problem(
                ("voting_power_unit",),
                f"is {spec.voting_power_unit}, and none of the {group.voters} voters of voting_group {name!r} holds so"
                " much, so that nobody could vote; lower the unit",
            )


def expected_size(spec: ElectionSpec, template: Template, leaders: int) -> int:
    """The bytes that block 0 will have."""
    holders = {group.name: group.token_holders for group in spec.groups}
    size = block0_size(
        leaders=leaders,
        committees=len(spec.committee),
        funds=1 + len(spec.committee) + spec.fund_holders,
        tokens={voting_token(spec.id, name): holders.get(name, 0) for name in groups_voted_in(spec)},
    )
    return size + certificates_size(spec, template)


def voter_warnings(spec: ElectionSpec) -> Iterator[str]:
    """Voters who cannot vote."""
    voted_in = groups_voted_in(spec)
    for group in spec.groups:
        if group.name not in voted_in:
            yield f"the {group.voters} voters of voter.voting_group {group.name!r} have nothing to vote on"
        elif left_out := group.voters - group.token_holders:
            yield (
                f"{left_out} voters of voter.voting_group {group.name!r} hold less than one"
                f" election.voting_power_unit ({spec.voting_power_unit}) and are left out"
            )
