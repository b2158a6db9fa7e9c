"""What a vote decides: one account's say on one proposal, of which a chain counts one and refuses all others."""

from collections.abc import Iterable, Iterator
from hashlib import blake2b

from node_fsm.chain.blocks import Block
from node_fsm.chain.certificates import VoteCast, decode_vote_cast
from node_fsm.chain.fragments import Fragment, FragmentKind

KEY_SIZE = 16


def cast_key(vote: VoteCast) -> bytes | None:
    """A digest of account, plan and proposal, whatever the choice; None when no chain counts such a vote."""
    if vote.account is None:
        return None
    decided = vote.account + bytes.fromhex(vote.plan_id) + bytes([vote.proposal_index])
    return blake2b(decided, digest_size=KEY_SIZE).digest()


def votes_in(blocks: Iterable[Block]) -> Iterator[Fragment]:
    """The votes in *blocks* in their order; block 0, in which there are none, is passed over unread."""
    for block in blocks:
        if block.header.height:
            for fragment in block.fragments():
                if fragment.kind is FragmentKind.VOTE_CAST:
                    yield fragment


def keys_in(blocks: Iterable[Block]) -> Iterator[bytes]:
    """What the votes in *blocks* decide."""
    for fragment in votes_in(blocks):
        if key := cast_key(decode_vote_cast(fragment)):
            yield key
