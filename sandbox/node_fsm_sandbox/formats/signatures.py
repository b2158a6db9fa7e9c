"""Checking who signed a block or a fragment, and what exactly they signed."""

from struct import Struct
from typing import NamedTuple

from node_fsm.chain.fragments import Fragment, FragmentKind
from node_fsm_sandbox.formats.chain import account_witness_message
from node_fsm_sandbox.formats.crypto import PUBLIC_KEY_SIZE, SIGNATURE_SIZE, blake2b_256, verify

_FRAME_SIZE = 6
_WITNESS = Struct(f">BI{SIGNATURE_SIZE}s")
_PROOF = Struct(f">{PUBLIC_KEY_SIZE}s{SIGNATURE_SIZE}s")

# What a fragment ends with after its witnesses.
_AUTHORITY_SIZES = {FragmentKind.VOTE_PLAN: _PROOF.size, FragmentKind.VOTE_TALLY: 1 + _PROOF.size}

_BFT_HEADER = slice(1, 1 + 177)


class SignedParts(NamedTuple):
    """A fragment whose inputs are all accounts, taken apart by what is signed.

    Witnesses are (spending counter with its lane, signature). ``authority`` is the public key and the signature
    that authorise a vote plan or a tally, else None.
    """

    unsigned: bytes
    witnesses: tuple[tuple[int, bytes], ...]
    authorised: bytes
    authority: tuple[bytes, bytes] | None

    @property
    def hash(self) -> bytes:
        """What the witnesses sign."""
        return blake2b_256(self.unsigned)

    def witness_holds(self, index: int, account: bytes, block0_hash: bytes) -> bool:
        """Whether a witness is the signature of *account*, a public key, on the chain of that block 0."""
        spending_counter, signature = self.witnesses[index]
        return verify(account, account_witness_message(block0_hash, self.hash, spending_counter), signature)

    def authority_holds(self) -> bool:
        """Whether the vote plan or tally is signed by who it says."""
        assert self.authority is not None, "only vote plans and tallies are authorised"
        public_key, signature = self.authority
        return verify(public_key, self.authorised, signature)


def signed_parts(fragment: Fragment, inputs: int) -> SignedParts:
    """Take apart a fragment that decodes and has that many inputs, each with an account's witness."""
    content = fragment.raw[_FRAME_SIZE:]
    authorised_end = len(content) - _AUTHORITY_SIZES.get(fragment.kind, 0)
    unsigned_end = authorised_end - inputs * _WITNESS.size
    witnesses = _WITNESS.iter_unpack(content[unsigned_end:authorised_end])
    return SignedParts(
        content[:unsigned_end],
        tuple([(counter, signature) for _, counter, signature in witnesses]),
        content[:authorised_end],
        _PROOF.unpack(content[-_PROOF.size :]) if authorised_end < len(content) else None,
    )


def bft_block_holds(raw: bytes) -> bool:
    """Whether a raw BFT block is signed by the leader that its header names."""
    header = raw[_BFT_HEADER]
    signed = header[:-SIGNATURE_SIZE]
    return verify(signed[-PUBLIC_KEY_SIZE:], signed, header[-SIGNATURE_SIZE:])
