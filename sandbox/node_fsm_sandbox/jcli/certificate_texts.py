"""Certificates as text: ``cert1…``, and ``signedcert1…`` for those signed to stand in block 0."""

from enum import IntEnum
from typing import NamedTuple

from node_fsm.chain import bech32
from node_fsm.chain.fragments import HASH_SIZE, FragmentKind
from node_fsm_sandbox.formats.crypto import PUBLIC_KEY_SIZE, SIGNATURE_SIZE
from node_fsm_sandbox.jcli.values import ANY_VARIANT

PREFIX = "cert"
SIGNED_PREFIX = "signedcert"
PROOF_SIZE = PUBLIC_KEY_SIZE + SIGNATURE_SIZE


class Kind(IntEnum):
    """The first byte of a certificate: those of an election."""

    VOTE_PLAN = 6
    VOTE_CAST = 7
    VOTE_TALLY = 8


_KINDS = {kind.value: kind for kind in Kind}
_SIGNED_KINDS = {6: Kind.VOTE_PLAN, 7: Kind.VOTE_TALLY}
_FRAGMENT_KINDS = {
    Kind.VOTE_PLAN: FragmentKind.VOTE_PLAN,
    Kind.VOTE_CAST: FragmentKind.VOTE_CAST,
    Kind.VOTE_TALLY: FragmentKind.VOTE_TALLY,
}


class Certificate(NamedTuple):
    """A certificate: its content, and the proof of who authorised it, empty when it is not signed."""

    kind: Kind
    content: bytes
    proof: bytes = b""

    @property
    def fragment_kind(self) -> FragmentKind:
        """The kind of the fragments that carry it."""
        return _FRAGMENT_KINDS[self.kind]

    @property
    def needs_auth(self) -> bool:
        """Whether somebody has to authorise it."""
        return self.kind is not Kind.VOTE_CAST

    @property
    def is_private_tally(self) -> bool:
        """Whether it is the tally of a private plan."""
        return self.kind is Kind.VOTE_TALLY and self.content[HASH_SIZE : HASH_SIZE + 1] == b"\2"

    def text(self) -> str:
        """The certificate as text."""
        if not self.proof:
            return bech32.encode(PREFIX, bytes([self.kind]) + self.content, bech32.BECH32M)
        tag = next(tag for tag, kind in _SIGNED_KINDS.items() if kind is self.kind)
        return bech32.encode(SIGNED_PREFIX, bytes([tag]) + self.content + self.proof, bech32.BECH32M)


class CertificateError(ValueError):
    """A text is not the certificate expected; *causes* are the lines that explain the message."""

    def __init__(self, message: str, *causes: str) -> None:
        super().__init__(message)
        self.causes = causes


def read(text: str) -> Certificate:
    """Read an unsigned certificate, whatever its content; CertificateError."""
    data = _decode(text, PREFIX)
    kind = _KINDS.get(data[0]) if data else None
    if kind is None:
        raise CertificateError("Invalid certificate", "not a vote plan, vote or tally")
    return Certificate(kind, data[1:])


def read_signed(text: str) -> Certificate:
    """Read a certificate signed for block 0, whatever its content; CertificateError."""
    data = _decode(text, SIGNED_PREFIX)
    kind = _SIGNED_KINDS.get(data[0]) if data else None
    proof_size = PROOF_SIZE + (kind is Kind.VOTE_TALLY)
    if kind is None or len(data) <= 1 + proof_size:
        raise CertificateError("Invalid certificate", "not a signed vote plan or tally")
    return Certificate(kind, data[1:-proof_size], data[-proof_size:])


def prefix(text: str) -> str:
    """The human-readable part of a certificate; CertificateError when the text is no bech32."""
    try:
        return bech32.decode(text, ANY_VARIANT)[0]
    except ValueError as error:
        raise CertificateError("Failed to parse bech32, invalid data format", str(error)) from None


def _decode(text: str, expected: str) -> bytes:
    try:
        actual, data = bech32.decode(text, ANY_VARIANT)
    except ValueError as error:
        raise CertificateError("invalid base32", str(error)) from None
    if actual != expected:
        raise CertificateError(f"Invalid prefix, expected {expected} but read {actual}")
    return data
