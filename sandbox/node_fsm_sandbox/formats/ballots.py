"""Private votes: encrypted, added up without being opened, and opened together by all members of a committee.

A vote is one ElGamal ciphertext for each option, of 1 for the option chosen and 0 for the others; the sums are of
ciphertexts times voting power. Keys, ciphertexts, sums and decryption shares with their proofs are the chain's own.
Only the proof that a ballot encrypts a vote at all is replaced, by a hash of the same size: it holds for the very
plan and election key that the ballot was made for, but says nothing of what is inside.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b, shake_256
from math import isqrt
from struct import pack, unpack
from typing import Self

from node_fsm_sandbox.formats import edwards, ristretto
from node_fsm_sandbox.formats.edwards import BASE, IDENTITY, Place, Point, add, affine, double, multiply, negate

CIPHERTEXT_SIZE = 2 * ristretto.ELEMENT_SIZE
SHARE_SIZE = ristretto.ELEMENT_SIZE + 2 * ristretto.SCALAR_SIZE
"""Of a decryption share, for each option: the share itself, and two scalars that prove it."""

_FINGERPRINT_SIZE = 32
_POWER_SIZE = 8
# Of a ballot's proof, for each bit of the number of options: three elements, a ciphertext, three scalars; and a scalar.
_PROOF_BIT_SIZE = 8 * 32
_PROOF_END_SIZE = 32
_STRIDES_AT_ONCE = 64

Ciphertext = tuple[Point, Point]


class BallotError(ValueError):
    """A ballot that cannot be counted."""


class SharesError(ValueError):
    """Decryption shares that do not belong to these sums and these members."""


def public_key(secret: int) -> bytes:
    """The public half of a member's or communication key, 32 bytes."""
    return ristretto.encode(multiply(secret, BASE))


def election_key(member_keys: Iterable[bytes]) -> bytes:
    """The key that votes are encrypted with, from the members' public keys; ValueError when one is none."""
    return ristretto.encode(ristretto.total(map(ristretto.decode, member_keys)))


def encrypt_vote(plan_id: bytes, election_key: bytes, options: int, choice: int) -> bytes:
    """The ballot of a choice, ready to be put in a certificate."""
    key = ristretto.decode(election_key)
    ciphertexts = b"".join([_write_ciphertext(_encrypt(key, option == choice)) for option in range(options)])
    return bytes([options]) + ciphertexts + _proof(plan_id, election_key, options, ciphertexts)


def open_ballot(plan_id: bytes, election_key: bytes, ballot: bytes) -> bytes:
    """The ciphertexts in a ballot, to be added up; BallotError when it was made for another plan or key."""
    options = ballot[0]
    ciphertexts, proof = ballot[1 : 1 + options * CIPHERTEXT_SIZE], ballot[1 + options * CIPHERTEXT_SIZE :]
    if proof != _proof(plan_id, election_key, options, ciphertexts):
        raise BallotError("Invalid vote proof")
    return ciphertexts


class EncryptedTally:
    """The encrypted sums of a proposal: ``power`` is the voting power of all who voted on it."""

    def __init__(self, fingerprint: bytes, power: int, sums: Sequence[Ciphertext]) -> None:
        self._fingerprint = fingerprint
        self.power = power
        self._sums = list(sums)

    @classmethod
    def empty(cls, plan_id: bytes, election_key: bytes, options: int) -> Self:
        """The sums before any vote."""
        return cls(_digest(plan_id, election_key), 0, [(IDENTITY, IDENTITY)] * options)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` or a node wrote; ValueError when it is something else."""
        head, body = data[: _FINGERPRINT_SIZE + _POWER_SIZE], data[_FINGERPRINT_SIZE + _POWER_SIZE :]
        if len(head) < _FINGERPRINT_SIZE + _POWER_SIZE or len(body) % CIPHERTEXT_SIZE:
            raise ValueError("not the bytes of an encrypted tally")
        (power,) = unpack("<Q", head[_FINGERPRINT_SIZE:])
        return cls(head[:_FINGERPRINT_SIZE], power, _read_ciphertexts(body))

    def to_bytes(self) -> bytes:
        """The sums as a node shows them."""
        return self._fingerprint + pack("<Q", self.power) + b"".join(map(_write_ciphertext, self._sums))

    def add(self, ciphertexts: bytes, power: int) -> None:
        """Count a vote: what `open_ballot` gave, weighed with the voter's *power*."""
        votes = _read_ciphertexts(ciphertexts)
        self._sums = [
            (add(sum1, multiply(power, vote1)), add(sum2, multiply(power, vote2)))
            for (sum1, sum2), (vote1, vote2) in zip(self._sums, votes, strict=True)
        ]
        self.power += power

    def share(self, secret: int) -> bytes:
        """A member's share of the decryption, with the proof that it is theirs."""
        return b"".join([_share(secret, sum1) for sum1, _ in self._sums])

    def decrypt(self, member_keys: Sequence[bytes], shares: Sequence[bytes]) -> list[int] | None:
        """The votes of each option from the shares, in the order of the members' public keys.

        None when the shares are too few for these sums; SharesError when one is not its member's.
        """
        opened = self._opened(member_keys, shares)
        if not self.power:
            return [0] * len(opened)
        votes = _logarithms(opened, self.power)
        return None if None in votes else [vote for vote in votes if vote is not None]

    def is_result(self, member_keys: Sequence[bytes], shares: Sequence[bytes], votes: Sequence[int]) -> bool:
        """Whether the shares open these sums to *votes*."""
        try:
            opened = self._opened(member_keys, shares)
        except SharesError:
            return False
        expected = [ristretto.encode(multiply(vote, BASE)) for vote in votes]
        return [ristretto.encode(point) for point in opened] == expected

    def _opened(self, member_keys: Sequence[bytes], shares: Sequence[bytes]) -> list[Point]:
        for member_key, share in zip(member_keys, shares, strict=False):
            if len(share) != len(self._sums) * SHARE_SIZE:
                raise SharesError("Incorrect decryption shares")
            for (sum1, _), part in zip(self._sums, _parts(share, SHARE_SIZE), strict=True):
                if not _share_holds(member_key, sum1, part):
                    raise SharesError("Incorrect decryption shares")
        opened = []
        for index, (_, sum2) in enumerate(self._sums):
            start = index * SHARE_SIZE
            parts = [ristretto.decode(share[start : start + ristretto.ELEMENT_SIZE]) for share in shares]
            opened.append(add(sum2, negate(ristretto.total(parts))))
        return opened


def _encrypt(key: Point, vote: int) -> Ciphertext:
    secret = ristretto.random_scalar()
    return multiply(secret, BASE), add(multiply(vote, BASE), multiply(secret, key))


def _share(secret: int, sum1: Point) -> bytes:
    share = multiply(secret, sum1)
    nonce = ristretto.random_scalar()
    statement = [BASE, sum1, multiply(secret, BASE), share, multiply(nonce, BASE), multiply(nonce, sum1)]
    challenge = ristretto.hash_to_scalar(*map(ristretto.encode, statement))
    response = (secret * challenge + nonce) % edwards.ORDER
    return ristretto.encode(share) + ristretto.write_scalar(challenge) + ristretto.write_scalar(response)


def _share_holds(member_key: bytes, sum1: Point, part: bytes) -> bool:
    encoded_share, challenge_bytes, response_bytes = _parts(part, 32)
    try:
        key, share = ristretto.decode(member_key), ristretto.decode(encoded_share)
        challenge, response = ristretto.read_scalar(challenge_bytes), ristretto.read_scalar(response_bytes)
    except ValueError:
        return False
    nonce1 = add(multiply(response, BASE), negate(multiply(challenge, key)))
    nonce2 = add(multiply(response, sum1), negate(multiply(challenge, share)))
    statement = map(ristretto.encode, [BASE, sum1, key, share, nonce1, nonce2])
    return challenge == ristretto.hash_to_scalar(*statement)


def _logarithms(points: Sequence[Point], largest: int) -> list[int | None]:
    """By how much the base point is multiplied to give each of *points*, None where by more than *largest*."""
    size = isqrt(largest) + 1
    base = _unique(BASE)
    steps = {place: number for number, place in enumerate(_progression(IDENTITY, base, size))}
    stride = negate(multiply(size, base))
    return [_logarithm(_unique(target), steps, stride) for target in points]


def _logarithm(target: Point, steps: Mapping[Place, int], stride: Point) -> int | None:
    """One of `_logarithms`: *steps* are the first multiples of the base point, *stride* takes off as many."""
    size = len(steps)
    for start in range(0, size + 1, _STRIDES_AT_ONCE):
        count = min(_STRIDES_AT_ONCE, size + 1 - start)
        first = add(target, multiply(start, stride))
        for strides, place in enumerate(_progression(first, stride, count), start):
            if place in steps:
                return strides * size + steps[place]
    return None


def _unique(point: Point) -> Point:
    """Four times *point*: the same one for all points that stand for an element, and far cheaper than its bytes."""
    return double(double(point))


def _progression(first: Point, step: Point, count: int) -> list[Place]:
    points = [first]
    for _ in range(count - 1):
        points.append(add(points[-1], step))
    return affine(points)


def _proof(plan_id: bytes, election_key: bytes, options: int, ciphertexts: bytes) -> bytes:
    bits = (options - 1).bit_length()
    digest = shake_256(b"".join([plan_id, election_key, ciphertexts])).digest(bits * _PROOF_BIT_SIZE + _PROOF_END_SIZE)
    return bytes([bits]) + digest


def _digest(plan_id: bytes, election_key: bytes) -> bytes:
    return blake2b(plan_id + election_key, digest_size=_FINGERPRINT_SIZE).digest()


def _write_ciphertext(ciphertext: Ciphertext) -> bytes:
    return b"".join(map(ristretto.encode, ciphertext))


def _read_ciphertexts(data: bytes) -> list[Ciphertext]:
    points = list(map(ristretto.decode, _parts(data, ristretto.ELEMENT_SIZE)))
    return list(zip(points[::2], points[1::2], strict=True))


def _parts(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]
