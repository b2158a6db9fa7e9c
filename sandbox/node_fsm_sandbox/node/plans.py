"""Vote plans in the ledger: who voted on what, and the sums."""

from collections.abc import Mapping, Sequence
from copy import copy
from typing import NamedTuple

from node_fsm.chain import bech32
from node_fsm.chain.certificates import PlanCertificate, VoteCast, VoteTally
from node_fsm.core.chain_time import BlockDate
from node_fsm.core.payload_type import PayloadType
from node_fsm_sandbox.formats.ballots import EncryptedTally, election_key, open_ballot
from node_fsm_sandbox.node.errors import RejectedError
from node_fsm_sandbox.node.journal import Journal, Table
from node_fsm_sandbox.node.messages import Message

_OTHER = {PayloadType.PUBLIC: PayloadType.PRIVATE, PayloadType.PRIVATE: PayloadType.PUBLIC}


class AdmittedPlan(NamedTuple):
    """A plan, the wallets (hex ids) that may tally it, and the keys of a private one."""

    plan: PlanCertificate
    committee: frozenset[str]
    member_keys: tuple[bytes, ...]
    election_key: bytes

    @property
    def id_bytes(self) -> bytes:
        return bytes.fromhex(self.plan.id)


class ProposalTally(NamedTuple):
    """How the votes on a proposal stand: *results* by option, or *encrypted* until a private plan is tallied."""

    votes_cast: int
    results: tuple[int, ...] | None
    encrypted: EncryptedTally | None


class VotePlans:
    """All plans on the chain; they are never dropped."""

    def __init__(self, journal: Journal) -> None:
        self._plans: Table[str, AdmittedPlan] = Table(journal)
        self._tallies: Table[tuple[str, int], ProposalTally] = Table(journal)
        self._voters: Table[tuple[str, int, bytes], bool] = Table(journal)

    def all(self) -> list[PlanCertificate]:
        """The plans in the order in which they came."""
        return [admitted.plan for admitted in self._plans.values()]

    def tallies(self, plan: PlanCertificate) -> list[ProposalTally]:
        """How the votes stand, by proposal."""
        return [self._tallies[plan.id, index] for index in range(len(plan.proposals))]

    def votes_of(self, plan: PlanCertificate, account: bytes) -> list[int]:
        """The proposals (indices) that an account has voted on."""
        return [index for index in range(len(plan.proposals)) if (plan.id, index, account) in self._voters]

    def votes_of_all(self) -> dict[bytes, dict[str, list[int]]]:
        """By account and plan id, the proposals (indices) voted on."""
        votes: dict[bytes, dict[str, list[int]]] = {}
        for plan_id, index, account in self._voters:
            votes.setdefault(account, {}).setdefault(plan_id, []).append(index)
        return votes

    def add(self, plan: PlanCertificate, committee: frozenset[str], date: BlockDate) -> None:
        """Admit a plan in a block of that date; RejectedError."""
        if date > plan.vote_end:
            raise _error(f"Vote plan is set to finish in the passed ({plan.vote_end}), current date {date}")
        if date > plan.vote_start:
            raise _error(f"Vote plan already started ({plan.vote_start}), current date {date}")
        private = plan.payload_type == PayloadType.PRIVATE
        if private and not plan.committee_member_public_keys:
            raise _error("Private vote plan must contain at least one committee member key")
        if plan.id in self._plans:
            raise _error(f"cannot insert the vote plan {plan.id}: entry with the provided key already exists")
        member_keys = tuple(bech32.decode(key)[1] for key in plan.committee_member_public_keys)
        admitted = AdmittedPlan(plan, committee, member_keys, election_key(member_keys) if private else b"")
        self._plans[plan.id] = admitted
        for index, proposal in enumerate(plan.proposals):
            self._tallies[plan.id, index] = _no_votes(admitted, proposal.options)

    def vote(
        self, message: Message, cast: VoteCast, account: bytes, tokens: Mapping[str, int], parent: BlockDate
    ) -> None:
        """Take the vote *cast* of *account*, which holds *tokens*, in a block after *parent*; RejectedError."""
        admitted = self._plan(cast.plan_id)
        plan = admitted.plan
        if not plan.vote_start <= parent < plan.vote_end:
            raise _refused(
                plan.id,
                "It is not possible to vote at the moment for the proposals, "
                f"time to vote is between {plan.vote_start} to {plan.vote_end}.",
            )
        received: PayloadType = PayloadType.PUBLIC if cast.ballot is None else PayloadType.PRIVATE
        if received != plan.payload_type:
            raise _wrong_payload(plan, received)
        if cast.proposal_index >= len(plan.proposals):
            raise _refused(plan.id, f"Invalid vote proposal, only {len(plan.proposals)} available in the vote plan")
        voter = (plan.id, cast.proposal_index, account)
        if voter in self._voters:
            raise _refused(plan.id, "This account already voted for this proposal")
        tally = self._tallies[plan.id, cast.proposal_index]
        power = tokens.get(plan.voting_token)
        with_vote = _with_public_vote if plan.payload_type == PayloadType.PUBLIC else _with_private_vote
        self._tallies[plan.id, cast.proposal_index] = with_vote(admitted, tally, message, cast, power)
        self._voters[voter] = True

    def tally(self, message: Message, tally: VoteTally, parent: BlockDate) -> None:
        """Take a tally in a block after *parent*; RejectedError. That of a public plan changes nothing."""
        admitted = self._plan(tally.plan_id)
        plan = admitted.plan
        if not plan.vote_end <= parent < plan.committee_end:
            raise _refused(
                plan.id,
                "It is not possible to tally the votes for the proposals, "
                f"time to tally the votes is between {plan.vote_end} to {plan.committee_end}.",
            )
        if tally.committee_id not in admitted.committee:
            raise _refused(plan.id, "Unexpected TallyProof's public ID, expected one of the committee")
        if tally.results is None:
            if plan.payload_type != PayloadType.PUBLIC:
                raise _refused(plan.id, "Cannot tally votes: Invalid privacy")
        elif plan.payload_type != PayloadType.PRIVATE:
            raise _wrong_payload(plan, PayloadType.PUBLIC)
        else:
            shares = message.decryption_shares()
            for index, results in enumerate(tally.results[: len(plan.proposals)]):
                self._decrypt(admitted, index, results, shares[index])

    def _decrypt(self, admitted: AdmittedPlan, index: int, results: tuple[int, ...], shares: Sequence[bytes]) -> None:
        tally = self._tallies[admitted.plan.id, index]
        if tally.encrypted is None:
            raise _refused(admitted.plan.id, "Cannot tally votes: this private tally is already decryptred")
        if not tally.encrypted.is_result(admitted.member_keys, shares, results):
            raise _refused(admitted.plan.id, "Cannot tally votes: invalid decrypted tally")
        self._tallies[admitted.plan.id, index] = ProposalTally(tally.votes_cast, results, None)

    def _plan(self, plan_id: str) -> AdmittedPlan:
        admitted = self._plans.get(plan_id)
        if admitted is None:
            raise _error(f"cannot update the vote plan {plan_id}: could not find the requested key")
        return admitted


def _no_votes(admitted: AdmittedPlan, options: int) -> ProposalTally:
    if admitted.plan.payload_type == PayloadType.PUBLIC:
        return ProposalTally(0, (0,) * options, None)
    return ProposalTally(0, None, EncryptedTally.empty(admitted.id_bytes, admitted.election_key, options))


def _with_public_vote(
    admitted: AdmittedPlan, tally: ProposalTally, _: Message, cast: VoteCast, power: int | None
) -> ProposalTally:
    assert tally.results is not None, "the results of a public plan are always there"
    assert cast.choice is not None, "the payload's type was checked"
    if power is None:
        raise _refused(admitted.plan.id, "Account has no voting power")
    if cast.choice >= len(tally.results):
        raise _refused(admitted.plan.id, "Invalid option choice")
    results = list(tally.results)
    results[cast.choice] += power
    return ProposalTally(tally.votes_cast + 1, tuple(results), None)


def _with_private_vote(
    admitted: AdmittedPlan, tally: ProposalTally, message: Message, cast: VoteCast, power: int | None
) -> ProposalTally:
    assert tally.encrypted is not None, "tallies come after the votes"
    plan = admitted.plan
    options = plan.proposals[cast.proposal_index].options
    if cast.ballot_options != options:
        raise _refused(plan.id, f"Invalid private vote size (expected {options}, got {cast.ballot_options})")
    sums = copy(tally.encrypted)
    try:
        ciphertexts = open_ballot(admitted.id_bytes, admitted.election_key, message.ballot())
        sums.add(ciphertexts, power or 0)
    except ValueError:
        raise _refused(plan.id, "Invalid private vote verification: Invalid vote proof") from None
    if power is None:
        raise _refused(plan.id, "Account has no voting power")
    return ProposalTally(tally.votes_cast + 1, None, sums)


def _error(cause: str) -> RejectedError:
    return RejectedError(f"Voting error: {cause}")


def _refused(plan_id: str, cause: str) -> RejectedError:
    return _error(f"cannot update the vote plan {plan_id}: error while updating the value: {cause}")


def _wrong_payload(plan: PlanCertificate, received: PayloadType) -> RejectedError:
    return _refused(
        plan.id, f"{received.capitalize()} is not the expected payload type, expected {_OTHER[received].capitalize()}"
    )
