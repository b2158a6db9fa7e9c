"""Voters by the thousand: their keys come from a library, since arithmetic of our own takes some milliseconds each."""

from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from node_fsm_sandbox.election.draw import Ballot
from node_fsm_sandbox.election.wallet import Wallet
from node_fsm_sandbox.formats.crypto import SigningKey

from node_fsm.chain.address import account_address


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


def power(ballots: Iterable[Ballot]) -> int:
    """The weight of votes together."""
    return sum(ballot.voter.power for ballot in ballots)
