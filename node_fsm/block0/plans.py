"""From objectives and proposals to the vote plans of a chain."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from node_fsm.block0.template import Template
from node_fsm.chain.address import KEY_SIZE
from node_fsm.chain.limits import MAX_CERTIFICATE_SIZE, MAX_PROPOSALS
from node_fsm.core.chain_time import BlockDate, ChainDates
from node_fsm.core.model import ElectionSpec, Proposal
from node_fsm.core.payload_type import PayloadType

# A voter's token in block 0 repeats the token's name: 8 bytes tell the groups of one chain apart well enough,
# and at a million voters are 24 MB less than the 32 that are allowed.
_TOKEN_NAME_SIZE = 8
_NO_MINTING_POLICY = "0" * 56

_CERTIFICATE_SIZE = 176
"""Bytes of a signed plan certificate without proposals and keys, as block 0 holds it."""
_PROPOSAL_SIZE = 34


@dataclass(frozen=True, slots=True)
class PlanDraft:
    """A vote plan before jcli: *index* counts from 0 within the election, *member_keys* are in share order."""

    index: int
    payload_type: PayloadType
    voting_group: str
    token: str
    dates: ChainDates
    proposals: tuple[Proposal, ...]
    member_keys: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """The plan as ``jcli certificate new vote-plan`` reads it."""
        return {
            "payload_type": self.payload_type.value,
            "vote_start": _date(self.dates.vote_start),
            "vote_end": _date(self.dates.vote_end),
            "committee_end": _date(self.dates.committee_end),
            "proposals": [
                {"external_id": proposal.external_id.hex(), "options": len(proposal.options), "action": "off_chain"}
                for proposal in self.proposals
            ],
            "committee_member_public_keys": list(self.member_keys),
            "voting_token": self.token,
        }


def voting_token(election_id: int, voting_group: str) -> str:
    """The id of the token that carries a group's voting power: always the same, another one for every group."""
    name = blake2b(f"{election_id}:{voting_group}".encode(), digest_size=_TOKEN_NAME_SIZE)
    return f"{_NO_MINTING_POLICY}.{name.hexdigest()}"


def tally_size(proposals: Sequence[Proposal], members: int) -> int:
    """About how many bytes the tally of a private plan takes in a block: shares of all members, and the results."""
    options = sum(len(proposal.options) for proposal in proposals)
    return 300 + 2 * len(proposals) + (96 * members + 8) * options


def max_tally_size(template: Template) -> int:
    """How large a tally may be: half a block, so that other fragments have room beside it, and what jcli takes."""
    return min(template.block_content_max_size // 2, MAX_CERTIFICATE_SIZE)


def draft_plans(spec: ElectionSpec, dates: ChainDates, template: Template) -> tuple[PlanDraft, ...]:
    """The plans of a checked election, the same for the same specification.

    Proposals go by (objective id, proposal id), plans by the first proposal of their voting group and payload type;
    a plan ends at MAX_PROPOSALS, a private one also where its tally would be too large.
    """
    members = sorted(spec.committee, key=lambda member: member.index)
    member_keys = tuple(member.public_key for member in members if member.public_key)
    return tuple(
        PlanDraft(
            index=index,
            payload_type=payload_type,
            voting_group=voting_group,
            token=voting_token(spec.id, voting_group),
            dates=dates,
            proposals=proposals,
            member_keys=member_keys if payload_type is PayloadType.PRIVATE else (),
        )
        for index, (voting_group, payload_type, proposals) in enumerate(ballots(spec, template))
    )


def certificates_size(spec: ElectionSpec, template: Template) -> int:
    """How many bytes the signed certificates of all plans take in block 0."""
    return sum(
        _CERTIFICATE_SIZE
        + _PROPOSAL_SIZE * len(proposals)
        + (KEY_SIZE * len(spec.committee) if payload_type is PayloadType.PRIVATE else 0)
        for _, payload_type, proposals in ballots(spec, template)
    )


def ballots(spec: ElectionSpec, template: Template) -> Iterator[tuple[str, PayloadType, tuple[Proposal, ...]]]:
    """What each plan is for: a voting group, a payload type, and proposals."""
    by_kind: dict[tuple[str, PayloadType], list[Proposal]] = {}
    for objective in sorted(spec.objectives, key=lambda objective: objective.id):
        for proposal in sorted(objective.proposals, key=lambda proposal: proposal.id):
            by_kind.setdefault((objective.voting_group, objective.payload_type), []).append(proposal)
    for (voting_group, payload_type), ballot in by_kind.items():
        members = len(spec.committee) if payload_type is PayloadType.PRIVATE else 0
        for proposals in _split(ballot, members, max_tally_size(template)):
            yield voting_group, payload_type, proposals


def _split(ballot: Sequence[Proposal], members: int, max_tally: int) -> Iterator[tuple[Proposal, ...]]:
    """Cut *ballot* into plans; a public tally has no members and the same size however many proposals."""
    plan: list[Proposal] = []
    for proposal in ballot:
        too_large = members and tally_size([*plan, proposal], members) > max_tally
        if plan and (too_large or len(plan) == MAX_PROPOSALS):
            yield tuple(plan)
            plan = []
        plan.append(proposal)
    if plan:
        yield tuple(plan)


def _date(date: BlockDate) -> dict[str, int]:
    return {"epoch": date.epoch, "slot_id": date.slot}
