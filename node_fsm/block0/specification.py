"""Whether a chain can be made of what an operator specified; every problem is found before anything is built."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from node_fsm.block0.genesis import ACCOUNT_FUND, block0_size, size_problem
from node_fsm.block0.plans import max_tally_size, tally_size, voting_token
from node_fsm.block0.template import Template
from node_fsm.chain import bech32
from node_fsm.chain.address import KEY_SIZE, MEMBER_KEY_PREFIX, ed25519_public_key
from node_fsm.chain.limits import MAX_OPTIONS
from node_fsm.core.chain_time import ChainClock, ChainDates, chain_start
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import CommitteeMember, ElectionSpec, NodeRow, Objective, Proposal
from node_fsm.core.payload_type import PayloadType

EXTERNAL_ID_SIZE = 32

_SET_LEADER_ID = "set it with `node-fsm node add HOSTNAME --leader-id PUBLIC_KEY`"


@dataclass(frozen=True, slots=True)
class Checked:
    """A specification that a chain can be made of: its dates, and what a person may still want to mend."""

    dates: ChainDates
    warnings: tuple[str, ...]


def check_specification(
    spec: ElectionSpec,
    nodes: Sequence[NodeRow],
    template: Template,
    offset_minutes: float,
    own_leader_id: str | None,
) -> Checked:
    """The dates of the chain that *spec* asks for.

    *own_leader_id* is ``jorm_nodes.leader_id`` of this node, which is leader 0. PermanentError
    ``SpecificationInvalid`` lists every problem with its table, row and column, and what to do about it.
    """
    problems = [
        *_time_problems(spec, template.slot_duration),
        *_leader_problems(nodes, own_leader_id),
        *_committee_problems(spec),
        *_proposal_problems(spec, template),
        *_voter_problems(spec, template),
    ]
    if problems:
        raise PermanentError("SpecificationInvalid", f"election {spec.name!r}: {'; '.join(problems)}")
    clock = ChainClock(
        start=chain_start(spec.voting_start, offset_minutes, template.slot_duration),
        slot_duration=template.slot_duration,
        slots_per_epoch=template.slots_per_epoch,
    )
    dates = ChainDates(
        clock=clock,
        vote_start=clock.date_at(spec.voting_start),
        vote_end=clock.date_at(spec.voting_end),
        committee_end=clock.date_at(spec.tallying_end),
    )
    return Checked(dates, tuple(_warnings(spec, nodes, template)))


def _time_problems(spec: ElectionSpec, slot_duration: int) -> Iterator[str]:
    """The chain starts a whole number of slots before voting_start: the later times must be on its grid of slots."""
    start = spec.voting_start.replace(microsecond=0)
    slot = timedelta(seconds=slot_duration)
    if start != spec.voting_start:
        yield f"election.voting_start {spec.voting_start} {_not_on('a whole second', start, timedelta(seconds=1))}"
    if spec.voting_end <= spec.voting_start:
        yield (
            f"election.voting_end {spec.voting_end} is not after voting_start {spec.voting_start};"
            f" the earliest good time is {start + slot}"
        )
    if spec.tallying_end <= spec.voting_end:
        yield (
            f"election.tallying_end {spec.tallying_end} is not after voting_end {spec.voting_end};"
            " set it late enough for the tally to get into a block"
        )
    for column, time in (("voting_end", spec.voting_end), ("tallying_end", spec.tallying_end)):
        if beyond := (time - start) % slot:
            grid = f"a multiple of slot_duration ({slot_duration} s) after voting_start"
            yield f"election.{column} {time} {_not_on(grid, time - beyond, slot)}"


def _not_on(grid: str, before: datetime, step: timedelta) -> str:
    return f"is not {grid}; the nearest good times are {before} and {before + step}"


def _leader_problems(nodes: Sequence[NodeRow], own_leader_id: str | None) -> Iterator[str]:
    hostnames: dict[str, str] = {}
    for node in nodes:
        if node.leader_id is None:
            continue
        try:
            ed25519_public_key(node.leader_id)
        except ValueError as error:
            yield f"jorm_nodes.leader_id of {node.hostname} is no ed25519 public key ({error}); {_SET_LEADER_ID}"
        other = hostnames.setdefault(node.leader_id, node.hostname)
        if other != node.hostname:
            yield (
                f"jorm_nodes.leader_id of {node.hostname} is also that of {other}, but every leader needs a key of"
                f" its own; {_SET_LEADER_ID}"
            )
    if own_leader_id is None:
        yield f"jorm_nodes has no leader_id for this node, which creates the chain as leader 0; {_SET_LEADER_ID}"
    elif own_leader_id not in hostnames:
        yield f"jorm_nodes.leader_id of no row is this node's own, {own_leader_id}; {_SET_LEADER_ID}"


def _committee_problems(spec: ElectionSpec) -> Iterator[str]:
    for member in spec.committee:
        if not re.fullmatch(f"[0-9a-f]{{{2 * KEY_SIZE}}}", member.id):
            yield (
                f"committee.id {member.id!r} is no ed25519 public key; give the {2 * KEY_SIZE} lower-case hex digits"
                " that `jcli key to-bytes` prints"
            )
    private = [objective.id for objective in _with_proposals(spec) if objective.payload_type is PayloadType.PRIVATE]
    if not private:
        return
    why = f"objective {private[0]} is private, and its tally needs the share of every member"
    members = len(spec.committee)
    if not members:
        yield f"committee has no rows, but {why}; add the members with their member_public_key"
    elif spec.committee_threshold != members:
        yield (
            f"election.committee_threshold is {spec.committee_threshold} of {members} members, but {why}: the chain"
            f" knows no lower threshold; set it to {members}"
        )
    for member in spec.committee:
        if problem := _member_key_problem(member):
            yield f"committee.member_public_key of {member.id} {problem}, but {why}; set the key that the member gave"
    for column, values in (
        ("member_index", [str(member.index) for member in spec.committee]),
        ("member_public_key", [member.public_key for member in spec.committee if member.public_key]),
    ):
        for value in _repeated(values):
            yield f"committee.{column} {value} stands in several rows; every member needs one of its own"


def _member_key_problem(member: CommitteeMember) -> str | None:
    if member.public_key is None:
        return "is null"
    try:
        prefix, data = bech32.decode(member.public_key)
    except ValueError as error:
        return f"is no member key ({error})"
    if prefix != MEMBER_KEY_PREFIX or len(data) != KEY_SIZE:
        return f"is no member key ({MEMBER_KEY_PREFIX}1…)"
    return None


def _proposal_problems(spec: ElectionSpec, template: Template) -> Iterator[str]:
    objectives = _with_proposals(spec)
    if not objectives:
        yield "proposal has no rows that are not deleted; add a proposal, or delete the election"
    for objective in objectives:
        for proposal in objective.proposals:
            yield from _one_proposal_problems(objective, proposal, len(spec.committee), template)
    for ballot in dict.fromkeys((objective.voting_group, objective.payload_type) for objective in objectives):
        external_ids = [
            proposal.external_id.hex()
            for objective in objectives
            if (objective.voting_group, objective.payload_type) == ballot
            for proposal in objective.proposals
        ]
        for external_id in _repeated(external_ids):
            yield (
                f"proposal.external_id {external_id} stands in several rows of the {ballot[1]} objectives of"
                f" voting_group {ballot[0]!r}, so that their results could not be told apart; change all but one"
            )


def _one_proposal_problems(objective: Objective, proposal: Proposal, members: int, template: Template) -> Iterator[str]:
    row = f"of proposal {proposal.id} (objective {objective.id} {objective.title!r})"
    if not 1 <= len(proposal.options) <= MAX_OPTIONS:
        yield f"proposal.options {row} has {len(proposal.options)} entries; give 1 to {MAX_OPTIONS}"
    if len(proposal.external_id) != EXTERNAL_ID_SIZE:
        yield f"proposal.external_id {row} has {len(proposal.external_id)} bytes; give {EXTERNAL_ID_SIZE}"
    if objective.payload_type is PayloadType.PRIVATE and tally_size([proposal], members) > max_tally_size(template):
        yield (
            f"the tally {row} takes about {tally_size([proposal], members)} bytes, more than half a block; set"
            f" block_content_max_size in the block 0 template to {2 * tally_size([proposal], members)} or more"
        )


def _voter_problems(spec: ElectionSpec, template: Template) -> Iterator[str]:
    if spec.voting_power_unit <= 0:
        yield f"election.voting_power_unit is {spec.voting_power_unit}; set it to 1 or more"
    if not any(group.voters for group in spec.groups):
        yield "voter has no rows; import the voters"
        return
    groups = {group.name: group for group in spec.groups if group.voters}
    for name, objective_id in _groups_voted_in(spec).items():
        group = groups.get(name)
        if group is None:
            yield (
                f"voter.voting_group {name!r} has no rows, but objective {objective_id} is for that group; import its"
                " voters, or change objective.voting_group"
            )
        elif not group.token_holders:
            yield (
                f"voter.voting_power of all {group.voters} voters of voting_group {name!r} is below"
                f" election.voting_power_unit ({spec.voting_power_unit}), so that nobody could vote; lower the unit"
            )
    for prefix in sorted(set(spec.address_prefixes) - {template.address_prefix}):
        yield (
            f"voter.address begins with {prefix!r} in some rows, but addresses of this chain begin with"
            f" {template.address_prefix!r}; import the voters again with the block 0 template of this service, or"
            " correct its discrimination"
        )
    units = sum(group.tokens for group in spec.groups)
    if units + ACCOUNT_FUND * (1 + len(spec.committee)) > template.max_funds:
        yield (
            f"voter.voting_power comes to {units} units, but a chain holds at most {template.max_funds} with the"
            " funds of leader 0 and committee; raise election.voting_power_unit"
        )
    if problem := size_problem(_least_block0_size(spec)):
        yield problem


def _least_block0_size(spec: ElectionSpec) -> int:
    """The size if the voters of every group were also in the largest: how far they overlap is known only later."""
    holders = {group.name: group.token_holders for group in spec.groups}
    return block0_size(
        leaders=1,
        committees=len(spec.committee),
        funds=max(holders.values()),
        tokens={voting_token(spec.id, name): holders.get(name, 0) for name in _groups_voted_in(spec)},
    )


def _warnings(spec: ElectionSpec, nodes: Sequence[NodeRow], template: Template) -> Iterator[str]:
    leaders = sum(node.leader_id is not None for node in nodes)
    if template.slots_per_epoch % leaders:
        yield (
            f"slots_per_epoch {template.slots_per_epoch} is not a multiple of the {leaders} leaders in jorm_nodes, so"
            " that the last ones get fewer blocks; change it in the block 0 template"
        )
    voted_in = _groups_voted_in(spec)
    for group in spec.groups:
        if group.name not in voted_in:
            yield f"the {group.voters} voters of voter.voting_group {group.name!r} have nothing to vote on"
        elif left_out := group.voters - group.token_holders:
            yield (
                f"{left_out} voters of voter.voting_group {group.name!r} hold less than one"
                f" election.voting_power_unit ({spec.voting_power_unit}) and are left out"
            )


def _with_proposals(spec: ElectionSpec) -> list[Objective]:
    return [objective for objective in spec.objectives if objective.proposals]


def _groups_voted_in(spec: ElectionSpec) -> dict[str, int]:
    """The voting groups that have something to vote on, each with the id of an objective that is for it."""
    return {objective.voting_group: objective.id for objective in reversed(_with_proposals(spec))}


def _repeated(values: Sequence[str]) -> list[str]:
    return [value for value, count in Counter(values).items() if count > 1]
