"""Private plans in the ledger: ballots are added up unseen, and opened once by all members."""

import io
from collections.abc import Sequence

import pytest
from node_fsm_sandbox.formats import ballots
from node_fsm_sandbox.formats import certificates as certificates_write
from node_fsm_sandbox.formats import chain as chain_write
from node_fsm_sandbox.formats.crypto import SigningKey, blake2b_256
from node_fsm_sandbox.node.errors import RejectedError
from node_fsm_sandbox.node.ledger import Ledger
from node_fsm_sandbox.node.messages import read_message

from node_fsm.chain.blocks import read_blocks
from node_fsm.chain.certificates import OFF_CHAIN, PlanProposal
from node_fsm.chain.fragments import Fragment, FragmentKind
from node_fsm.chain.transactions import Input
from node_fsm.core.chain_time import BlockDate
from node_fsm.core.payload_type import PayloadType
from tests.chain import build
from tests.sandbox_node.world import LEADERS, POWER, VOTERS

MEMBERS = [1234567, 7654321]
MEMBER_KEYS = [ballots.public_key(secret) for secret in MEMBERS]
ELECTION_KEY = ballots.election_key(MEMBER_KEYS)
OPTIONS = 3
PLAN = certificates_write.vote_plan(
    PayloadType.PRIVATE,
    (BlockDate(0, 0), BlockDate(1, 0), BlockDate(2, 0)),
    [PlanProposal("ab" * 32, OPTIONS, OFF_CHAIN)],
    MEMBER_KEYS,
    f"{'00' * 28}.{build.TOKEN_NAME.hex()}",
)
PLAN_ID = blake2b_256(PLAN)
VOTING, TALLYING = BlockDate(0, 5), BlockDate(1, 5)


def _block0() -> bytes:
    unsigned = chain_write.block0_certificate(PLAN)
    plan = unsigned + chain_write.plan_proof(LEADERS[0], unsigned)
    return chain_write.block0(
        [
            build.initial((11, LEADERS[0].public_key)),
            build.fund(*[(build.address(wallet.public_key), 100) for wallet in (LEADERS[0], *VOTERS)]),
            *[build.token(voter.public_key, POWER) for voter in VOTERS],
            chain_write.fragment(FragmentKind.VOTE_PLAN, plan),
        ]
    )


BLOCK0 = _block0()


class Booth:
    """A ledger, and what is brought to it."""

    def __init__(self) -> None:
        self.ledger = Ledger(next(read_blocks(io.BytesIO(BLOCK0))))
        (self.plan,) = self.ledger.plans.all()

    def tally(self) -> ballots.EncryptedTally:
        (tally,) = self.ledger.plans.tallies(self.plan)
        assert tally.encrypted is not None
        return ballots.EncryptedTally.from_bytes(tally.encrypted.to_bytes())

    def apply(self, kind: FragmentKind, certificate: bytes, payer: SigningKey, date: BlockDate, lane: int = 0) -> None:
        unsigned = chain_write.unsigned_transaction(certificate, BlockDate(1, 59), [Input(payer.public_key, None, 0)])
        counter = self.ledger.accounts[payer.public_key].counters[lane]
        spending_counter = chain_write.spending_counter(lane, counter)
        block0_hash = bytes.fromhex(build.block_id(BLOCK0))
        signature = payer.sign(
            chain_write.account_witness_message(block0_hash, blake2b_256(unsigned), spending_counter)
        )
        content = unsigned + chain_write.account_witness(spending_counter, signature)
        if kind is FragmentKind.VOTE_TALLY:
            content += chain_write.tally_proof(payer, content, private=True)
        message = read_message(Fragment.from_bytes(chain_write.fragment(kind, content)))
        self.ledger.apply(message, date, date)

    def vote(self, voter: SigningKey, choice: int, *, key: bytes = ELECTION_KEY, options: int = OPTIONS) -> None:
        ballot = ballots.encrypt_vote(PLAN_ID, key, options, choice)
        self.apply(FragmentKind.VOTE_CAST, certificates_write.private_vote(PLAN_ID, 0, ballot), voter, VOTING)

    def decide(self, shares: Sequence[bytes], results: Sequence[int]) -> None:
        certificate = certificates_write.private_tally(PLAN_ID, [(shares, results)])
        self.apply(FragmentKind.VOTE_TALLY, certificate, LEADERS[0], TALLYING)


@pytest.fixture
def booth() -> Booth:
    return Booth()


def test_ballots_add_up(booth: Booth) -> None:
    for voter, choice in zip(VOTERS[:3], (0, 2, 2), strict=True):
        booth.vote(voter, choice)
    sums = booth.tally()
    shares = [sums.share(secret) for secret in MEMBERS]
    results = sums.decrypt(MEMBER_KEYS, shares)
    assert results == [POWER, 0, 2 * POWER]
    booth.decide(shares, results)
    (tally,) = booth.ledger.plans.tallies(booth.plan)
    assert (tally.votes_cast, tally.results, tally.encrypted) == (3, (POWER, 0, 2 * POWER), None)
    with pytest.raises(RejectedError, match="already decryptred"):
        booth.decide(shares, results)


def test_a_rolled_back_ballot_is_not_in_the_sums(booth: Booth) -> None:
    booth.vote(VOTERS[0], 0)
    before, mark = booth.tally().to_bytes(), booth.ledger.journal.mark()
    booth.vote(VOTERS[1], 1)
    assert booth.tally().to_bytes() != before
    booth.ledger.journal.rollback(mark)
    assert booth.tally().to_bytes() == before


def test_wrong_ballots(booth: Booth) -> None:
    other_key = ballots.election_key([ballots.public_key(99)])
    with pytest.raises(RejectedError, match="Invalid vote proof"):
        booth.vote(VOTERS[0], 0, key=other_key)
    with pytest.raises(RejectedError, match=r"Invalid private vote size \(expected 3, got 4\)"):
        booth.vote(VOTERS[0], 0, options=4)
    with pytest.raises(RejectedError, match="Account has no voting power"):
        booth.vote(LEADERS[0], 0)


def test_wrong_tallies(booth: Booth) -> None:
    booth.vote(VOTERS[0], 1)
    sums = booth.tally()
    shares = [sums.share(secret) for secret in MEMBERS]
    wrong: list[tuple[Sequence[bytes], Sequence[int]]] = [
        (shares, [0, POWER + 1, 0]),
        (shares[:1], [0, POWER, 0]),
        (shares[::-1], [0, POWER, 0]),
        ([], []),
        ([shares[0], sums.share(99)], [0, POWER, 0]),
    ]
    for given, results in wrong:
        with pytest.raises(RejectedError, match="invalid decrypted tally"):
            booth.decide(given, results)
    booth.decide(shares, [0, POWER, 0])
