"""Whether shares of a private tally's decryption are what they claim to be, and a result is what they open.

A proposal's encrypted votes are, for each option, an ElGamal ciphertext (C1, C2) of 64 bytes, summed over the ballots
by their weights; before them stand the election's fingerprint and the power of all who voted. A member with the secret
key s and the public key K = s * G opens it a bit by D = s * C1, and proves that K and D have the same s: that is a
share, for each option D and two scalars. All members' D taken off C2 leave votes * G.

Everything here is public and comes from anywhere. What is not as it should be is said in a sentence, never raised.
"""

import base64
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from node_fsm.chain import bech32, ristretto
from node_fsm.chain.address import MEMBER_KEY_PREFIX
from node_fsm.chain.limits import MAX_OPTIONS
from node_fsm.chain.pieces import pieces

SHARE_SIZE = ristretto.POINT_SIZE + 2 * ristretto.SCALAR_SIZE
"""Of a decryption share, for each option."""

CIPHERTEXT_SIZE = 2 * ristretto.POINT_SIZE
_FINGERPRINT_SIZE = 32
_POWER_SIZE = 8
_LONGEST_TALLY = 2 * (_FINGERPRINT_SIZE + _POWER_SIZE + MAX_OPTIONS * CIPHERTEXT_SIZE)
_MAX_VOTES = 2**64 - 1


class EncryptedTally(NamedTuple):
    """The encrypted votes of a proposal: *power* is the weight of all its ballots, *sums* has 64 bytes an option."""

    power: int
    sums: tuple[bytes, ...]

    def printed(self) -> str:
        """As a node prints it, but for the fingerprint, on which nothing here depends."""
        head = bytes(_FINGERPRINT_SIZE) + self.power.to_bytes(_POWER_SIZE, "little")
        return base64.b64encode(head + b"".join(self.sums)).decode()


class _Invalid(ValueError):  # noqa: N818 -- it is no error: its text is the answer
    """What is wrong, as the end of a sentence."""


def share_problem(
    encrypted_tallies: Sequence[str], member_key: str, share: Sequence[str], other_members: Sequence[str] = ()
) -> str | None:
    """What is wrong with a member's share of a plan, None when nothing is.

    *encrypted_tallies* are the proposals' ``encrypted_tally`` as a node prints them (base64), *share* is what ``jcli
    votes tally decryption-shares`` prints (base64 for each proposal). With the keys of *other_members* of the plan, a
    share that is one of theirs is named so.
    """
    try:
        key = _member_key(member_key)
        others = {other: _member_key(other) for other in other_members if other != member_key}
        tallies = list(_tallies(encrypted_tallies))
        if len(share) != len(tallies):
            raise _Invalid(f"has shares of {len(share)} proposals, the plan has {len(tallies)}")
        for index, (tally, text) in enumerate(zip(tallies, share, strict=True)):
            part = _share(tally, text, index)
            if not _is_share(tally, key, part):
                raise _Invalid(_why_not(tallies, key, others, part, index))
    except _Invalid as problem:
        return str(problem)
    return None


def result_problem(
    encrypted_tallies: Sequence[str], shares: Sequence[Sequence[str]], results: Sequence[Sequence[int]]
) -> str | None:
    """What is wrong with the decrypted votes of a plan (by proposal and option), None when nothing is.

    *shares* are all members', in the plan's order, each found right by :func:`share_problem` before.
    """
    try:
        tallies = list(_tallies(encrypted_tallies))
        for what, found in [("result", results), *(("share", share) for share in shares)]:
            if len(found) != len(tallies):
                raise _Invalid(f"a {what} is of {len(found)} proposals, the plan has {len(tallies)}")
        for index, (tally, votes) in enumerate(zip(tallies, results, strict=True)):
            _check_result(tally, [_share(tally, share[index], index) for share in shares], votes, index)
    except _Invalid as problem:
        return str(problem)
    return None


def read_encrypted_tally(text: str) -> EncryptedTally:
    """Read a proposal's ``encrypted_tally`` as a node prints it (base64); ValueError says what is wrong."""
    if not isinstance(text, str) or len(text) > _LONGEST_TALLY:
        raise ValueError("an encrypted tally is no text, or far too long")
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError("an encrypted tally is not base64") from None
    head, body = data[: _FINGERPRINT_SIZE + _POWER_SIZE], data[_FINGERPRINT_SIZE + _POWER_SIZE :]
    if not body or len(body) % CIPHERTEXT_SIZE:
        raise ValueError(f"an encrypted tally cannot have {len(data)} bytes")
    if not all(map(ristretto.is_point, pieces(body, ristretto.POINT_SIZE))):
        raise ValueError("an encrypted tally holds what is no point of the group")
    return EncryptedTally(int.from_bytes(head[_FINGERPRINT_SIZE:], "little"), tuple(pieces(body, CIPHERTEXT_SIZE)))


def _tallies(texts: Sequence[str]) -> Iterator[EncryptedTally]:
    for index, text in enumerate(texts):
        try:
            yield read_encrypted_tally(text)
        except ValueError as error:
            raise _Invalid(f"cannot be checked: {error} (proposal {index})") from None


def _member_key(text: str) -> bytes:
    try:
        prefix, key = bech32.decode(text)
    except ValueError as error:
        raise _Invalid(f"cannot be checked: the member's public key is none: {error}") from None
    if prefix != MEMBER_KEY_PREFIX or not ristretto.is_point(key):
        raise _Invalid(f"cannot be checked: the member's public key is no {MEMBER_KEY_PREFIX}1… of a point")
    return key


def _share(tally: EncryptedTally, text: str, index: int) -> list[bytes]:
    """The share of a proposal by option; its size is looked at before anything is decoded."""
    options = len(tally.sums)
    size = options * SHARE_SIZE
    if not isinstance(text, str) or len(text) != size // 3 * 4:
        raise _Invalid(
            f"is malformed: the share of proposal {index} is not {size} bytes in base64, for {options} options"
        )
    try:
        parts = list(pieces(base64.b64decode(text, validate=True), SHARE_SIZE))
    except ValueError:
        raise _Invalid(f"is malformed: the share of proposal {index} is not base64") from None
    for option, part in enumerate(parts):
        point, challenge, response = pieces(part, ristretto.POINT_SIZE)
        if not (ristretto.is_point(point) and ristretto.is_scalar(challenge) and ristretto.is_scalar(response)):
            raise _Invalid(
                f"is malformed: the share of proposal {index}, option {option}, is not a point and two scalars"
            )
    return parts


def _is_share(tally: EncryptedTally, key: bytes, share: list[bytes]) -> bool:
    return len(share) == len(tally.sums) and all(
        _is_proven(key, ciphertext[: ristretto.POINT_SIZE], part)
        for ciphertext, part in zip(tally.sums, share, strict=True)
    )


def _is_proven(key: bytes, base: bytes, part: bytes) -> bool:
    """Whether a share's point is by the same secret a multiple of *base* as *key* is of the group's base point."""
    point, challenge, response = pieces(part, ristretto.POINT_SIZE)
    nonce1 = ristretto.subtract(ristretto.multiply_base(response), ristretto.multiply(challenge, key))
    nonce2 = ristretto.subtract(ristretto.multiply(response, base), ristretto.multiply(challenge, point))
    return challenge == ristretto.hash_to_scalar(ristretto.BASE, base, key, point, nonce1, nonce2)


def _why_not(
    tallies: Sequence[EncryptedTally], key: bytes, others: dict[str, bytes], share: list[bytes], index: int
) -> str:
    for other, tally in enumerate(tallies):
        if other != index and _is_share(tally, key, share):
            return f"is out of order: where proposal {index} belongs it has the share of proposal {other}"
    for member, other_key in others.items():
        if _is_share(tallies[index], other_key, share):
            return f"is foreign: it is the share of the member {member}"
    return (
        f"does not hold for proposal {index}: it was made with another key, or of another state of the votes than the"
        " encrypted tally that was saved"
    )


def _check_result(tally: EncryptedTally, shares: list[list[bytes]], votes: Sequence[int], index: int) -> None:
    if len(votes) != len(tally.sums):
        raise _Invalid(f"proposal {index} has {len(tally.sums)} options, the result says {len(votes)}")
    if any(not 0 <= vote <= _MAX_VOTES for vote in votes) or sum(votes) != tally.power:
        raise _Invalid(f"proposal {index}: the ballots have a power of {tally.power}, the result says {sum(votes)}")
    for option, (ciphertext, vote) in enumerate(zip(tally.sums, votes, strict=True)):
        opened = ristretto.total(share[option][: ristretto.POINT_SIZE] for share in shares)
        left = ristretto.subtract(ciphertext[ristretto.POINT_SIZE :], opened)
        if left != ristretto.multiply_base(ristretto.scalar(vote)):
            raise _Invalid(f"proposal {index}, option {option}: the shares do not open {vote} votes")
