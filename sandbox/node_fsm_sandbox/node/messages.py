"""Fragments that an election posts, decoded, with their signatures."""

from collections.abc import Callable
from typing import NamedTuple

from node_fsm.chain.certificates import (
    PlanCertificate,
    VoteCast,
    VoteTally,
    decode_vote_cast,
    decode_vote_plan,
    decode_vote_tally,
)
from node_fsm.chain.errors import MalformedError
from node_fsm.chain.fragments import HASH_SIZE, LENGTH, Fragment, FragmentKind
from node_fsm.chain.transactions import SPINE, Transaction, WitnessKind, decode_transaction
from node_fsm_sandbox.formats.ballots import SHARE_SIZE
from node_fsm_sandbox.formats.signatures import SignedParts, signed_parts

_VOTE_HEAD_SIZE = HASH_SIZE + 2
_INPUT_SIZE = 41
_RESULT_SIZE = 8

_CERTIFICATES: dict[FragmentKind, Callable[[Fragment], PlanCertificate | VoteCast | VoteTally]] = {
    FragmentKind.VOTE_PLAN: decode_vote_plan,
    FragmentKind.VOTE_CAST: decode_vote_cast,
    FragmentKind.VOTE_TALLY: decode_vote_tally,
}


class Message(NamedTuple):
    """A fragment with its transaction and certificate (None: money is moved, no more)."""

    fragment: Fragment
    id: str
    transaction: Transaction
    certificate: PlanCertificate | VoteCast | VoteTally | None

    @property
    def raw(self) -> bytes:
        """The whole fragment."""
        return self.fragment.raw

    def signed_parts(self) -> SignedParts:
        """The signatures and what they sign."""
        return signed_parts(self.fragment, len(self.transaction.inputs))

    def ballot(self) -> bytes:
        """The ballot of a private vote, with its proof."""
        return self.signed_parts().unsigned[_VOTE_HEAD_SIZE : -SPINE.size - _INPUT_SIZE]

    def decryption_shares(self) -> list[list[bytes]]:
        """The members' shares in a private tally, by proposal."""
        cursor = self.fragment.content()
        cursor.take(HASH_SIZE + 1, "plan and payload type")
        proposals = []
        for _ in range(cursor.u8("number of proposals")):
            members, options = cursor.u8("number of shares"), cursor.u8("number of options")
            proposals.append([cursor.take(options * SHARE_SIZE, "share") for _ in range(members)])
            cursor.take(options * _RESULT_SIZE, "results")
        return proposals


def read_message(fragment: Fragment) -> Message:
    """Decode a fragment.

    MalformedError when it is not what its tag says, or is one that elections do not post: staking, updates,
    minting, and transactions that spend anything but accounts.
    """
    if fragment.kind is FragmentKind.TRANSACTION:
        certificate = None
        transaction = decode_transaction(fragment)
    elif decode := _CERTIFICATES.get(fragment.kind):
        certificate = decode(fragment)
        transaction = certificate.transaction
    else:
        raise MalformedError(f"the sandbox takes no fragment of kind {fragment.kind.name.lower()}", fragment.offset)
    if any(witness.kind is not WitnessKind.ACCOUNT for witness in transaction.witnesses) or any(
        spent.account is None for spent in transaction.inputs
    ):
        raise MalformedError("the sandbox takes only transactions that spend accounts", fragment.offset)
    return Message(fragment, fragment.id, transaction, certificate)


def read_fragment(raw: bytes) -> Message | None:
    """The fragment that *raw* begins with; None when the node cannot read it."""
    size = LENGTH.size + int.from_bytes(raw[: LENGTH.size])
    try:
        return read_message(Fragment.from_bytes(raw[:size]))
    except MalformedError:
        return None
