"""The certificates of an election: vote plans, votes, tallies and minted tokens."""

from functools import lru_cache
from hashlib import blake2b
from struct import Struct
from typing import Literal, NamedTuple

from node_fsm.chain import bech32
from node_fsm.chain.address import KEY_SIZE, MEMBER_KEY_PREFIX
from node_fsm.chain.cursor import Cursor
from node_fsm.chain.fragments import HASH_SIZE, Fragment
from node_fsm.chain.limits import MAX_OPTIONS, MAX_TOKEN_NAME_SIZE
from node_fsm.chain.transactions import SPINE, Transaction, read_transaction
from node_fsm.core.block_date import BlockDate
from node_fsm.core.payload_type import PayloadType

POLICY_HASH_SIZE = 28
_NO_POLICY = bytes(POLICY_HASH_SIZE)
_SIGNATURE_SIZE = 64
_POINT_SIZE = 32
_CIPHERTEXT_SIZE = 2 * _POINT_SIZE
# Of a ballot's proof, for each bit of the choice: three points, a ciphertext, three scalars.
_PROOF_BIT_SIZE = 3 * _POINT_SIZE + _CIPHERTEXT_SIZE + 3 * _POINT_SIZE
_SHARE_SIZE = 3 * _POINT_SIZE

# What follows a minted token's name: number of policy entries, account, value, then the transaction's spine.
_MINTED = Struct(f">B{KEY_SIZE}sQ" + SPINE.format.removeprefix(">"))


class VoteAction(NamedTuple):
    """What a chain does when a proposal is accepted, spelled like jcli; *value* where the action has one."""

    kind: Literal["off_chain", "treasury", "parameters"]
    name: str | None = None
    value: int | None = None


OFF_CHAIN = VoteAction("off_chain")


class PlanProposal(NamedTuple):
    """A proposal of a plan; ``external_id`` is 64 hex digits, choices are 0 .. options-1."""

    external_id: str
    options: int
    action: VoteAction


class PlanCertificate(NamedTuple):
    """A vote plan and who signed it, spelled like jcli: ids in hex, member keys in bech32, the token ``policy.name``.

    ``committee_id`` is the public key whose signature admits the plan (64 hex digits).
    """

    id: str
    payload_type: PayloadType
    vote_start: BlockDate
    vote_end: BlockDate
    committee_end: BlockDate
    proposals: tuple[PlanProposal, ...]
    committee_member_public_keys: tuple[str, ...]
    voting_token: str
    committee_id: str
    transaction: Transaction


class VoteCast(NamedTuple):
    """A vote. ``choice`` is that of a public vote; ``ballot`` the encrypted one of a private vote, else None."""

    plan_id: str
    proposal_index: int
    choice: int | None
    ballot: bytes | None
    transaction: Transaction

    @property
    def account(self) -> bytes | None:
        """The voter's public key: the one account that the transaction spends from, None when it is not one."""
        if len(self.transaction.inputs) == 1 and not self.transaction.outputs:
            return self.transaction.inputs[0].account
        return None

    @property
    def ballot_options(self) -> int | None:
        """How many options the encrypted ballot is for."""
        return None if self.ballot is None else len(self.ballot) // _CIPHERTEXT_SIZE


class VoteTally(NamedTuple):
    """A tally. ``results`` are the decrypted sums of a private one, per proposal and option, else None.

    ``shares`` are those that it was decrypted with, per proposal and member: 96 bytes for each option.
    ``committee_id`` is the public key that signed it (64 hex digits).
    """

    plan_id: str
    payload_type: PayloadType
    results: tuple[tuple[int, ...], ...] | None
    shares: tuple[tuple[bytes, ...], ...] | None
    transaction: Transaction
    committee_id: str


class MintedToken(NamedTuple):
    """Tokens given to an account (its public key); ``token_id`` spelled like jcli, ``policy.name`` in hex."""

    token_id: str
    account: bytes
    value: int


@lru_cache(maxsize=1024)
def token_id(name: bytes, policy_hash: bytes = _NO_POLICY) -> str:
    """A token's id as jcli spells it: two hex numbers with a dot between, the second missing with the name."""
    return f"{policy_hash.hex()}.{name.hex()}" if name else policy_hash.hex()


def decode_minted_token(fragment: Fragment) -> MintedToken:
    """Decode a fragment of kind MINT_TOKEN as there are in a block 0; MalformedError.

    Only block 0 can mint, with a transaction that has no inputs and no outputs.
    """
    cursor = fragment.content()
    name = _read_token_name(cursor)
    policies, account, value, _, _, inputs, outputs = cursor.unpack(_MINTED, "minted token")
    if policies or inputs or outputs:
        raise cursor.malformed("a minted token with a minting policy, inputs or outputs cannot be in a block 0")
    cursor.expect_end("the minted token")
    return MintedToken(token_id(name), account, value)


def decode_vote_plan(fragment: Fragment) -> PlanCertificate:
    """Decode a fragment of kind VOTE_PLAN; MalformedError."""
    cursor = fragment.content()
    start = cursor.position
    vote_start, vote_end, committee_end = (cursor.date(f"{name} date") for name in ("start", "end", "committee end"))
    payload_type = _read_payload_type(cursor)
    proposals = tuple([_read_proposal(cursor) for _ in range(cursor.u8("number of proposals"))])
    member_keys = [cursor.take(KEY_SIZE, "member key") for _ in range(cursor.u8("number of member keys"))]
    policy_hash = cursor.take(POLICY_HASH_SIZE, "voting token's policy")
    voting_token = token_id(_read_token_name(cursor), policy_hash)
    plan_id = blake2b(cursor.since(start), digest_size=HASH_SIZE).hexdigest()
    transaction = read_transaction(cursor)
    committee_id = _read_signer(cursor)
    cursor.expect_end("the vote plan")
    return PlanCertificate(
        plan_id,
        payload_type,
        vote_start,
        vote_end,
        committee_end,
        proposals,
        tuple([bech32.encode(MEMBER_KEY_PREFIX, key) for key in member_keys]),
        voting_token,
        committee_id,
        transaction,
    )


def decode_vote_cast(fragment: Fragment) -> VoteCast:
    """Decode a fragment of kind VOTE_CAST; MalformedError. Proofs and signatures are not checked."""
    cursor = fragment.content()
    plan_id = cursor.take(HASH_SIZE, "vote plan id").hex()
    proposal_index = cursor.u8("proposal index")
    choice = ballot = None
    if _read_payload_type(cursor) == PayloadType.PUBLIC:
        choice = cursor.u8("choice")
    else:
        ballot = cursor.take(cursor.u8("number of ciphertexts") * _CIPHERTEXT_SIZE, "ballot")
        cursor.take(cursor.u8("size of the ballot's proof") * _PROOF_BIT_SIZE + _POINT_SIZE, "ballot's proof")
    transaction = read_transaction(cursor)
    cursor.expect_end("the vote")
    return VoteCast(plan_id, proposal_index, choice, ballot, transaction)


def decode_vote_tally(fragment: Fragment) -> VoteTally:
    """Decode a fragment of kind VOTE_TALLY; MalformedError. Shares and signatures are not checked."""
    cursor = fragment.content()
    plan_id = cursor.take(HASH_SIZE, "vote plan id").hex()
    payload_type = _read_payload_type(cursor)
    results = shares = None
    if payload_type == PayloadType.PRIVATE:
        proposals = [_read_private_result(cursor) for _ in range(cursor.u8("number of proposals"))]
        shares = tuple([opened for opened, _ in proposals])
        results = tuple([votes for _, votes in proposals])
    transaction = read_transaction(cursor)
    if cursor.u8("kind of the tally's proof") != (payload_type == PayloadType.PRIVATE):
        raise cursor.malformed(f"expected the proof of a {payload_type} tally")
    committee_id = _read_signer(cursor)
    cursor.expect_end("the tally")
    return VoteTally(plan_id, payload_type, results, shares, transaction, committee_id)


def _read_payload_type(cursor: Cursor) -> PayloadType:
    match cursor.u8("payload type"):
        case 1:
            return PayloadType.PUBLIC
        case 2:
            return PayloadType.PRIVATE
        case other:
            raise cursor.malformed(f"expected payload type 1 (public) or 2 (private), found {other}")


def _read_proposal(cursor: Cursor) -> PlanProposal:
    external_id = cursor.take(HASH_SIZE, "proposal's external id").hex()
    options = cursor.u8("number of options")
    if not 1 <= options <= MAX_OPTIONS:
        raise cursor.malformed(f"expected 1 to {MAX_OPTIONS} options, found {options}")
    return PlanProposal(external_id, options, _read_action(cursor))


def _read_action(cursor: Cursor) -> VoteAction:
    match cursor.u8("proposal's action"):
        case 0:
            return OFF_CHAIN
        case 1:
            return _read_governance(cursor, "treasury", "transfer_to_rewards")
        case 2:
            return _read_governance(cursor, "parameters", "reward_add")
        case other:
            raise cursor.malformed(f"unknown action {other} of a proposal")


def _read_governance(cursor: Cursor, kind: Literal["treasury", "parameters"], name: str) -> VoteAction:
    match cursor.u8(f"{kind} action"):
        case 0:
            return VoteAction(kind, "no_op")
        case 1:
            return VoteAction(kind, name, cursor.u64(f"{kind} action's value"))
        case other:
            raise cursor.malformed(f"unknown {kind} action {other}")


def _read_private_result(cursor: Cursor) -> tuple[tuple[bytes, ...], tuple[int, ...]]:
    """The members' shares of a proposal, and its votes by option."""
    members = cursor.u8("number of decryption shares")
    options = cursor.u8("number of options")
    shares = tuple([cursor.take(options * _SHARE_SIZE, "decryption share") for _ in range(members)])
    return shares, tuple([cursor.u64("votes of an option") for _ in range(options)])


def _read_token_name(cursor: Cursor) -> bytes:
    size = cursor.u8("length of the token's name")
    if size > MAX_TOKEN_NAME_SIZE:
        raise cursor.malformed(f"expected a token name of at most {MAX_TOKEN_NAME_SIZE} bytes, found {size}")
    return cursor.take(size, "token's name")


def _read_signer(cursor: Cursor) -> str:
    signer = cursor.take(KEY_SIZE, "signer's public key")
    cursor.take(_SIGNATURE_SIZE, "signature")
    return signer.hex()
