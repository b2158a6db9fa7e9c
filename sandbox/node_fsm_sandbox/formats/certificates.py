"""Writing the certificates of an election, the counterpart of `node_fsm.chain.certificates`."""

from collections.abc import Sequence
from struct import pack

from node_fsm.chain.certificates import PlanProposal, VoteAction
from node_fsm.core.block_date import BlockDate
from node_fsm.core.payload_type import PayloadType

_PAYLOAD_TYPES: dict[PayloadType, int] = {PayloadType.PUBLIC: 1, PayloadType.PRIVATE: 2}


def token_id_bytes(token: str) -> bytes:
    """A token's id (``policy.name`` in hex) as certificates have it: policy hash, length of the name, name."""
    policy_hash, _, name = token.partition(".")
    return bytes.fromhex(policy_hash) + _counted(bytes.fromhex(name))


def vote_plan(
    payload_type: PayloadType,
    dates: tuple[BlockDate, BlockDate, BlockDate],
    proposals: Sequence[PlanProposal],
    member_keys: Sequence[bytes],
    voting_token: str,
) -> bytes:
    """The content of a vote plan, whose hash is its id; *dates* are its start, its end and the committee's end."""
    return b"".join(
        [
            *[pack(">II", *date) for date in dates],
            bytes([_PAYLOAD_TYPES[payload_type], len(proposals)]),
            *[bytes.fromhex(item.external_id) + bytes([item.options]) + _action(item.action) for item in proposals],
            bytes([len(member_keys)]),
            *member_keys,
            token_id_bytes(voting_token),
        ]
    )


def public_vote(plan_id: bytes, proposal_index: int, choice: int) -> bytes:
    """The content of a public vote."""
    return plan_id + bytes([proposal_index, _PAYLOAD_TYPES[PayloadType.PUBLIC], choice])


def private_vote(plan_id: bytes, proposal_index: int, ballot: bytes) -> bytes:
    """The content of a private vote; *ballot* is what `node_fsm_sandbox.formats.ballots` makes of a choice."""
    return plan_id + bytes([proposal_index, _PAYLOAD_TYPES[PayloadType.PRIVATE]]) + ballot


def public_tally(plan_id: bytes) -> bytes:
    """The content of the tally of a public plan."""
    return plan_id + bytes([_PAYLOAD_TYPES[PayloadType.PUBLIC]])


def private_tally(plan_id: bytes, proposals: Sequence[tuple[Sequence[bytes], Sequence[int]]]) -> bytes:
    """The content of the tally of a private plan: for each proposal the members' shares and the sums they decrypt."""
    parts = [plan_id, bytes([_PAYLOAD_TYPES[PayloadType.PRIVATE], len(proposals)])]
    for shares, results in proposals:
        sums = results if shares else ()
        parts += [bytes([len(shares), len(sums)]), *shares, *[pack(">Q", votes) for votes in sums]]
    return b"".join(parts)


def minted_token(name: bytes, account: bytes, value: int) -> bytes:
    """The content of a fragment that gives tokens to an account, without a minting policy as in block 0."""
    return _counted(name) + b"\0" + account + pack(">Q", value)


def _counted(data: bytes) -> bytes:
    return bytes([len(data)]) + data


def _action(action: VoteAction) -> bytes:
    match action:
        case VoteAction("off_chain"):
            return b"\0"
        case VoteAction(kind, _, None):
            return bytes([_GOVERNANCE[kind], 0])
        case VoteAction(kind, _, value):
            return bytes([_GOVERNANCE[kind], 1]) + pack(">Q", value)


_GOVERNANCE = {"treasury": 1, "parameters": 2}
