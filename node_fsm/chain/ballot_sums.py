"""The encrypted votes of a proposal, summed from its ballots as the chain does: each times its voter's weight."""

from node_fsm.chain import ristretto
from node_fsm.chain.decryption import CIPHERTEXT_SIZE, EncryptedTally
from node_fsm.chain.pieces import pieces


class BallotSums:
    """The running sums of one proposal with this number of options."""

    def __init__(self, options: int) -> None:
        self._power = 0
        self._sums = [ristretto.IDENTITY] * (2 * options)

    def add(self, ballot: bytes, weight: int) -> None:
        """Add a ballot (64 bytes an option); ValueError when it is none of as many options, all points of the group."""
        if len(ballot) != len(self._sums) * ristretto.POINT_SIZE:
            raise ValueError(f"a ballot of {len(ballot)} bytes is none of {len(self._sums) // 2} options")
        factor = ristretto.scalar(weight)
        self._sums = [
            ristretto.add(summed, ristretto.multiply(factor, point))
            for summed, point in zip(self._sums, pieces(ballot, ristretto.POINT_SIZE), strict=True)
        ]
        self._power += weight

    def total(self) -> EncryptedTally:
        """What the ballots added so far come to."""
        return EncryptedTally(self._power, tuple(pieces(b"".join(self._sums), CIPHERTEXT_SIZE)))
