"""Whether objectives and proposals can be voted on, and their votes told apart."""

from collections import Counter
from collections.abc import Iterator

from node_fsm.block0.checks.problem import Path, Problem
from node_fsm.block0.plans import max_tally_size, tally_size
from node_fsm.block0.template import Template
from node_fsm.chain.limits import MAX_CERTIFICATE_SIZE, MAX_OPTIONS
from node_fsm.core.model import ElectionSpec, Objective, Proposal
from node_fsm.core.payload_type import PayloadType

EXTERNAL_ID_SIZE = 32


def ballot_problems(spec: ElectionSpec, template: Template) -> Iterator[Problem]:
    """Of every proposal, and of proposals that one group votes on in one way."""
    if not with_proposals(spec):
        yield Problem(("objectives",), "has no proposal that is not deleted; add a proposal, or delete the election")
    seen = set()
    for index, objective in enumerate(spec.objectives):
        for number, proposal in enumerate(objective.proposals):
            path: Path = ("objectives", index, "proposals", number)
            yield from _options_problems(proposal, (*path, "options"))
            if len(proposal.external_id) != EXTERNAL_ID_SIZE:
                yield Problem((*path, "external_id"), f"has {len(proposal.external_id)} bytes; give {EXTERNAL_ID_SIZE}")
            ballot = (objective.voting_group, objective.payload_type, proposal.external_id)
            if ballot in seen:
                yield Problem(
                    (*path, "external_id"),
                    f"is also that of an earlier {objective.payload_type} proposal of group {objective.voting_group!r},"
                    " so that their results could not be told apart; change one",
                )
            seen.add(ballot)
            if objective.payload_type is PayloadType.PRIVATE:
                yield from _tally_problems(proposal, path, len(spec.committee), template)


def _options_problems(proposal: Proposal, path: Path) -> Iterator[Problem]:
    if not 1 <= len(proposal.options) <= MAX_OPTIONS:
        yield Problem(path, f"has {len(proposal.options)} entries; give 1 to {MAX_OPTIONS}")
    if repeated := [option for option, count in Counter(proposal.options).items() if count > 1]:
        yield Problem(path, f"has {repeated[0]!r} twice, so that their results could not be told apart; change one")


def _tally_problems(proposal: Proposal, path: Path, members: int, template: Template) -> Iterator[Problem]:
    size = tally_size([proposal], members)
    if size > MAX_CERTIFICATE_SIZE:
        yield Problem(
            path,
            f"has a tally of about {size} bytes, but jcli takes {MAX_CERTIFICATE_SIZE} at most; have fewer options or"
            f" fewer than {members} members",
        )
    elif size > max_tally_size(template):
        yield Problem(
            path,
            f"has a tally of about {size} bytes, more than half a block; set block_content_max_size in the block 0"
            f" template to {2 * size} or more",
        )


def with_proposals(spec: ElectionSpec) -> list[Objective]:
    """The objectives that have something to vote on."""
    return [objective for objective in spec.objectives if objective.proposals]


def private_objectives(spec: ElectionSpec) -> list[Objective]:
    """Those whose votes are encrypted to the committee."""
    return [objective for objective in with_proposals(spec) if objective.payload_type is PayloadType.PRIVATE]


def groups_voted_in(spec: ElectionSpec) -> dict[str, int]:
    """The groups that have something to vote on, each with the position of the first objective that is for it."""
    voted_in: dict[str, int] = {}
    for index, objective in enumerate(spec.objectives):
        if objective.proposals:
            voted_in.setdefault(objective.voting_group, index)
    return voted_in
