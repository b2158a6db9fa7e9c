"""An independent recount of the votes on a chain, from its blocks alone.

The rules are the node's: a vote weighs what block 0 gave its account of the plan's voting token (tokens cannot
move); it counts when the *parent* of its block is dated in [vote_start, vote_end); an account votes once on a
proposal. On a chain made by honest nodes nothing is ever ignored but votes on other plans, so every other
ignored vote is an anomaly. Signatures and proofs are not checked, and private votes are only counted.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from node_fsm.chain.block0 import Block0Summary
from node_fsm.chain.blocks import BlockHeader, read_blocks, verify_chain
from node_fsm.chain.certificates import (
    PlanCertificate,
    VoteCast,
    decode_vote_cast,
    decode_vote_tally,
)
from node_fsm.chain.errors import MalformedError
from node_fsm.chain.fragments import ByteStream, Fragment, FragmentKind
from node_fsm.chain.voting_power import VotingPower
from node_fsm.core.block_date import BlockDate
from node_fsm.core.payload_type import PayloadType


class Ignored(StrEnum):
    """Why a vote does not count."""

    OTHER_PLAN = "other plan"
    OUTSIDE_WINDOW = "outside the voting window"
    UNKNOWN_PROPOSAL = "unknown proposal"
    WRONG_PAYLOAD = "payload of another type or size than the plan's"
    UNKNOWN_CHOICE = "unknown choice"
    NO_ACCOUNT = "not from one account"
    NO_VOTING_POWER = "account without the voting token"
    SECOND_VOTE = "account voted already"


class Anomaly(NamedTuple):
    """A vote that no honest node would have put into a block, and where it stands."""

    reason: Ignored
    fragment_id: str
    block_id: str
    height: int
    plan_id: str
    proposal_index: int


@dataclass(frozen=True, slots=True)
class ProposalCount:
    """``weights`` has the summed weight of each option; None for a private plan, whose votes are encrypted."""

    external_id: str
    votes_cast: int
    weights: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class PlanCount:
    """The count of one plan, proposals in the plan's order."""

    plan: PlanCertificate
    proposals: tuple[ProposalCount, ...]


@dataclass(frozen=True, slots=True)
class TallyFound:
    """A tally that stands in a block.

    ``results`` are what a private one decrypted, per proposal and option, and ``shares`` what with, per proposal and
    member.
    """

    plan_id: str
    payload_type: PayloadType
    results: tuple[tuple[int, ...], ...] | None
    shares: tuple[tuple[bytes, ...], ...] | None
    committee_id: str
    fragment_id: str
    block_id: str
    block_date: BlockDate
    height: int


@dataclass(frozen=True, slots=True)
class Recount:
    """What a chain says: its block 0, its tip, the count per plan id, and what was found on the way.

    ``ignored`` counts votes by reason; ``anomalies`` lists them, those on other plans excepted.
    """

    block0: Block0Summary
    tip: BlockHeader
    plans: Mapping[str, PlanCount]
    ignored: Mapping[Ignored, int]
    anomalies: tuple[Anomaly, ...]
    tallies: tuple[TallyFound, ...]


class UnknownPlanError(ValueError):
    """A recount was asked for plans that block 0 does not have; ``plan_ids`` names them."""

    def __init__(self, plan_ids: tuple[str, ...]) -> None:
        super().__init__(plan_ids)
        self.plan_ids = plan_ids

    def __str__(self) -> str:
        return f"block 0 has no vote plan {', '.join(self.plan_ids)}"


BallotSeen = Callable[[PlanCertificate, int, bytes, int], None]
"""Told of each encrypted vote that counts: its plan, the proposal's index, the ciphertexts, the voter's weight."""


class _Count:
    """The running count of one plan."""

    def __init__(self, plan: PlanCertificate, weights: Mapping[bytes, int], on_ballot: BallotSeen) -> None:
        self._plan = plan
        self._on_ballot = on_ballot
        self._weights = weights
        self._cast = [0] * len(plan.proposals)
        self._sums = [[0] * proposal.options for proposal in plan.proposals]
        # By account, a bit for each proposal voted on.
        self._voted: defaultdict[bytes, int] = defaultdict(int)

    def add(self, vote: VoteCast, parent_date: BlockDate) -> Ignored | None:
        """Count *vote*, or say why not."""
        plan = self._plan
        if not plan.vote_start <= parent_date < plan.vote_end:
            return Ignored.OUTSIDE_WINDOW
        if vote.proposal_index >= len(plan.proposals):
            return Ignored.UNKNOWN_PROPOSAL
        options = plan.proposals[vote.proposal_index].options
        if plan.payload_type == PayloadType.PUBLIC:
            if vote.choice is None:
                return Ignored.WRONG_PAYLOAD
            if vote.choice >= options:
                return Ignored.UNKNOWN_CHOICE
        elif vote.ballot_options != options:
            return Ignored.WRONG_PAYLOAD
        if vote.account is None:
            return Ignored.NO_ACCOUNT
        weight = self._weights.get(vote.account)
        if weight is None:
            return Ignored.NO_VOTING_POWER
        proposal_bit = 1 << vote.proposal_index
        if self._voted[vote.account] & proposal_bit:
            return Ignored.SECOND_VOTE
        self._voted[vote.account] |= proposal_bit
        self._cast[vote.proposal_index] += 1
        if vote.choice is not None:
            self._sums[vote.proposal_index][vote.choice] += weight
        if vote.ballot is not None:
            self._on_ballot(self._plan, vote.proposal_index, vote.ballot, weight)
        return None

    def result(self) -> PlanCount:
        public = self._plan.payload_type == PayloadType.PUBLIC
        return PlanCount(
            self._plan,
            tuple(
                ProposalCount(proposal.external_id, cast, tuple(sums) if public else None)
                for proposal, cast, sums in zip(self._plan.proposals, self._cast, self._sums, strict=True)
            ),
        )


def recount(
    stream: ByteStream,
    plan_ids: Collection[str] | None = None,
    on_ballot: BallotSeen = lambda _plan, _proposal, _ballot, _weight: None,
) -> Recount:
    """Count the votes on the chain in *stream*, a block 0 and all blocks after it.

    Only plans of block 0 count, since any account may add others: those of *plan_ids*, or all. Memory grows
    with the accounts that hold tokens, not with the chain. MalformedError, TruncatedError, BrokenChainError,
    UnknownPlanError.
    """
    blocks = verify_chain(read_blocks(stream))
    first = next(blocks, None)
    if first is None:
        raise MalformedError("expected a chain, the stream is empty", 0)
    block0, weights = VotingPower.read(first)
    counts = {
        plan.id: _Count(plan, weights[plan.id], on_ballot)
        for plan in block0.vote_plans
        if plan_ids is None or plan.id in plan_ids
    }
    if unknown := tuple(sorted(set(plan_ids or ()) - counts.keys())):
        raise UnknownPlanError(unknown)

    ignored: Counter[Ignored] = Counter()
    anomalies: list[Anomaly] = []
    tallies: list[TallyFound] = []
    tip = first.header
    for block in blocks:
        parent, tip = tip, block.header
        for fragment in block.fragments():
            if fragment.kind is FragmentKind.VOTE_CAST:
                vote = decode_vote_cast(fragment)
                count = counts.get(vote.plan_id)
                reason = count.add(vote, parent.date) if count else Ignored.OTHER_PLAN
                if reason:
                    ignored[reason] += 1
                    if reason is not Ignored.OTHER_PLAN:
                        anomalies.append(
                            Anomaly(reason, fragment.id, tip.id, tip.height, vote.plan_id, vote.proposal_index)
                        )
            elif fragment.kind is FragmentKind.VOTE_TALLY:
                tallies.append(_tally_found(fragment, tip))
    return Recount(
        block0,
        tip,
        {plan_id: count.result() for plan_id, count in counts.items()},
        dict(ignored),
        tuple(anomalies),
        tuple(tallies),
    )


def _tally_found(fragment: Fragment, header: BlockHeader) -> TallyFound:
    tally = decode_vote_tally(fragment)
    return TallyFound(
        plan_id=tally.plan_id,
        payload_type=tally.payload_type,
        results=tally.results,
        shares=tally.shares,
        committee_id=tally.committee_id,
        fragment_id=fragment.id,
        block_id=header.id,
        block_date=header.date,
        height=header.height,
    )
