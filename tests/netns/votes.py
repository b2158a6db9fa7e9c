"""Voters by the thousand: their keys come from a library, since arithmetic of our own takes some milliseconds each."""

from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from node_fsm_sandbox.election.draw import Ballot, Question, Voter
from node_fsm_sandbox.election.polling_station import BallotPaper, sign
from node_fsm_sandbox.election.wallet import Wallet
from node_fsm_sandbox.formats.crypto import SigningKey

from node_fsm.chain.address import account_address
from node_fsm.chain.fragments import Fragment
from node_fsm.core.block_date import BlockDate
from tests.contract.chains import Chain

_QUESTION = Question("The one there is", ("no", "yes"), external_id="00")


class QuickKey(SigningKey):
    """A plain key that signs quickly."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


@dataclass(frozen=True, slots=True)
class QuickWallet(Wallet):
    """A wallet that signs quickly."""

    @property
    def key(self) -> SigningKey:
        return QuickKey(self.seed)

    @property
    def address(self) -> str:
        """Its account on a test chain."""
        return account_address(self.public_key, production=False)


def one_vote_each(wallets: Iterable[Wallet], chain: Chain, expiry: BlockDate) -> list[Fragment]:
    """Votes on the only proposal of a chain's only plan."""
    paper = BallotPaper(chain.block0_hash, {_QUESTION.external_id: (chain.plan_ids[0], 0)}, expiry)
    return [sign(Ballot(Voter(wallet, 1), _QUESTION, 1, 0), paper) for wallet in wallets]


def power(ballots: Iterable[Ballot]) -> int:
    """The weight of votes together."""
    return sum(ballot.voter.power for ballot in ballots)
