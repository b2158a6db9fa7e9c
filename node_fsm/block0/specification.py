"""Whether a chain can be made of what an operator specified; every problem is found before anything is built."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from node_fsm.block0.checks.ballot import ballot_problems
from node_fsm.block0.checks.committee import committee_problems
from node_fsm.block0.checks.decryption import decryption_problems
from node_fsm.block0.checks.leaders import leader_problems, own_leader_problems
from node_fsm.block0.checks.problem import Problem, row_text
from node_fsm.block0.checks.times import time_problems
from node_fsm.block0.checks.voters import voter_problems, voter_warnings
from node_fsm.block0.template import Template
from node_fsm.core.chain_time import ChainClock, ChainDates, chain_start
from node_fsm.core.decryption import DecryptionLimit
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import ElectionSpec, NodeRow


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
    *,
    decryption: DecryptionLimit | None = None,
) -> Checked:
    """The dates of the chain that *spec* asks for.

    *own_leader_id* is ``jorm_nodes.leader_id`` of this node, which is leader 0; *decryption* says how long private
    votes may take to be opened, and is not needed without such votes. PermanentError ``SpecificationInvalid`` lists
    every problem with its table, row and column, and what to do about it.
    """
    problems = specification_problems(spec, nodes, template, offset_minutes, own_leader_id, decryption=decryption)
    if problems:
        raise PermanentError("SpecificationInvalid", f"election {spec.name!r}: {'; '.join(problems)}")
    return Checked(chain_dates(spec, template, offset_minutes), tuple(doubts(spec, nodes, template)))


def specification_problems(
    spec: ElectionSpec,
    nodes: Sequence[NodeRow],
    template: Template,
    offset_minutes: float,
    own_leader_id: str | None,
    *,
    decryption: DecryptionLimit | None = None,
) -> list[str]:
    """What :func:`check_specification` raises, a sentence each; empty when a chain can be made of *spec*."""
    found = [
        *election_problems(spec, template, offset_minutes),
        *voter_problems(spec, template, count_leaders(nodes)),
        *(decryption_problems(spec, template, decryption) if decryption else ()),
    ]
    problems = [f"{row_text(spec, problem.path)} {problem.what}" for problem in found]
    return [*problems, *leader_problems(nodes), *own_leader_problems(nodes, own_leader_id)]


def chain_dates(spec: ElectionSpec, template: Template, offset_minutes: float) -> ChainDates:
    """The dates of the chain of an election without problems."""
    clock = ChainClock(
        start=chain_start(spec.voting_start, offset_minutes, template.slot_duration),
        slot_duration=template.slot_duration,
        slots_per_epoch=template.slots_per_epoch,
    )
    return ChainDates(
        clock=clock,
        vote_start=clock.date_at(spec.voting_start),
        vote_end=clock.date_at(spec.voting_end),
        committee_end=clock.date_at(spec.tallying_end),
    )


def election_problems(spec: ElectionSpec, template: Template, offset_minutes: float) -> Iterator[Problem]:
    """Whatever keeps a chain from being made of an election, but for its voters and the nodes."""
    yield from time_problems(spec, template, offset_minutes)
    yield from committee_problems(spec)
    yield from ballot_problems(spec, template)


def doubts(spec: ElectionSpec, nodes: Sequence[NodeRow], template: Template) -> Iterator[str]:
    """What a chain can live with, and a person may want to mend."""
    leaders = count_leaders(nodes)
    if leaders and template.slots_per_epoch % leaders:
        yield (
            f"slots_per_epoch {template.slots_per_epoch} is not a multiple of the {leaders} leaders in jorm_nodes, so"
            " that the last ones get fewer blocks; change it in the block 0 template"
        )
    yield from voter_warnings(spec)


def count_leaders(nodes: Sequence[NodeRow]) -> int:
    """How many nodes make blocks."""
    return sum(node.leader_id is not None for node in nodes)
