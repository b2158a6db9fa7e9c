"""Votes on plans of either kind, and the sums of private ones as a node keeps them: the stand-ins' cryptography."""

from base64 import b64encode
from collections.abc import Iterable

from node_fsm_sandbox.formats import ballots, certificates

from node_fsm.chain import bech32
from node_fsm.chain.certificates import PlanCertificate, VoteCast
from node_fsm.chain.fragments import FragmentKind
from node_fsm.chain.voting_power import VotingPower
from node_fsm.core.model import VotePlan
from tests.chain import build


def vote(plan: VotePlan, account: bytes, *, proposal: int = 0, choice: int = 0, counter: int = 0) -> bytes:
    """A vote on *plan*, encrypted if that is private."""
    if plan.encryption_key is None:
        return build.vote(plan.id, account, proposal=proposal, choice=choice, expiry=(9, 9), counter=counter)
    plan_id, (_, key) = bytes.fromhex(plan.id), bech32.decode(plan.encryption_key)
    ballot = ballots.encrypt_vote(plan_id, key, len(plan.proposals[proposal].options), choice)
    content = certificates.private_vote(plan_id, proposal, ballot)
    return build.fragment(
        FragmentKind.VOTE_CAST, content + build.account_spine(account, expiry=(9, 9), counter=counter)
    )


def encrypted_sums(plan: PlanCertificate, votes: Iterable[VoteCast], power: VotingPower) -> list[str]:
    """Of each proposal of a private plan what a node shows, after those of *votes* that are on this plan."""
    plan_id, members = bytes.fromhex(plan.id), plan.committee_member_public_keys
    key = ballots.election_key(bech32.decode(member)[1] for member in members)
    tallies = [ballots.EncryptedTally.empty(plan_id, key, proposal.options) for proposal in plan.proposals]
    for cast in votes:
        if cast.plan_id == plan.id and cast.ballot:
            tallies[cast.proposal_index].add(cast.ballot, power.weight(cast))
    return [b64encode(tally.to_bytes()).decode() for tally in tallies]
