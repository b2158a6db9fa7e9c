"""A chain in memory: its leaders, its voters, blocks by any of them, and votes."""

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from struct import pack

from node_fsm_sandbox.formats import certificates as certificates_write
from node_fsm_sandbox.formats import chain as chain_write
from node_fsm_sandbox.formats.crypto import SigningKey, blake2b_256
from node_fsm_sandbox.node.chain import Chain
from node_fsm_sandbox.node.messages import Message, read_message
from node_fsm_sandbox.node.store import BlockStore

from node_fsm.chain.blocks import BlockHeader, read_blocks
from node_fsm.chain.fragments import Fragment, FragmentKind
from node_fsm.chain.transactions import Input
from node_fsm.core.chain_time import BlockDate
from tests.chain import build

START = datetime.fromtimestamp(1_700_000_000, UTC)
SLOTS_PER_EPOCH = 60
LEADERS = [SigningKey(bytes([number]) * 32) for number in (1, 2)]
VOTERS = [SigningKey(bytes([number]) * 32) for number in range(10, 20)]
POWER = 5
PLAN_CONTENT = build.plan_content(start=(0, 0), end=(1, 0), options=(3, 3))
PLAN_ID = build.plan_id(PLAN_CONTENT)
CONTENT_MAX_SIZE = 1000


def _plan() -> bytes:
    unsigned = chain_write.block0_certificate(PLAN_CONTENT)
    content = unsigned + chain_write.plan_proof(LEADERS[0], unsigned)
    return chain_write.fragment(FragmentKind.VOTE_PLAN, content)


BLOCK0 = chain_write.block0(
    [
        build.initial(*[(11, leader.public_key) for leader in LEADERS], change={9: pack(">I", CONTENT_MAX_SIZE)}),
        build.fund(*[(build.address(voter.public_key), 100) for voter in VOTERS]),
        *[build.token(voter.public_key, POWER) for voter in VOTERS],
        _plan(),
    ]
)
BLOCK0_HASH = build.block_id(BLOCK0)


def header(raw: bytes) -> BlockHeader:
    """The header of a block."""
    return next(read_blocks(io.BytesIO(raw))).header


def date_of(slot: int) -> BlockDate:
    """The date of a slot, counted from the chain's start."""
    return BlockDate(*divmod(slot, SLOTS_PER_EPOCH))


def leader_of(slot: int) -> SigningKey:
    return LEADERS[slot % SLOTS_PER_EPOCH % len(LEADERS)]


def block(parent: bytes, slot: int, fragments: Iterable[bytes] = (), leader: SigningKey | None = None) -> bytes:
    """The block of a slot on top of another block, by whose turn it is or by another *leader*."""
    before = header(parent)
    return chain_write.bft_block(leader or leader_of(slot), date_of(slot), before.height + 1, before.id, fragments)


def vote(
    voter: SigningKey,
    *,
    proposal: int = 0,
    choice: int = 1,
    counter: int = 0,
    expiry: tuple[int, int] = (1, 59),
    signer: SigningKey | None = None,
) -> bytes:
    """A public vote."""
    certificate = certificates_write.public_vote(bytes.fromhex(PLAN_ID), proposal, choice)
    unsigned = chain_write.unsigned_transaction(certificate, BlockDate(*expiry), [Input(voter.public_key, None, 0)])
    message = chain_write.account_witness_message(bytes.fromhex(BLOCK0_HASH), blake2b_256(unsigned), counter)
    witness = chain_write.account_witness(counter, (signer or voter).sign(message))
    return chain_write.fragment(FragmentKind.VOTE_CAST, unsigned + witness)


def message(raw: bytes) -> Message:
    """A fragment decoded."""
    return read_message(Fragment.from_bytes(raw))


@dataclass
class Time:
    """A clock that a test sets, in slots since the chain's start."""

    slot: float = 1000

    def __call__(self) -> datetime:
        return START + timedelta(seconds=self.slot)


@dataclass
class World:
    """A chain in a store of its own."""

    time: Time = field(default_factory=Time)
    store: BlockStore = field(default_factory=lambda: BlockStore(None))

    def __post_init__(self) -> None:
        self.store.append(BLOCK0_HASH, BLOCK0)
        self.chain = Chain(next(read_blocks(io.BytesIO(BLOCK0))), self.store, self.time)

    def results(self) -> tuple[int, ...]:
        """The votes on the first proposal by option."""
        (plan,) = self.chain.ledger.plans.all()
        return self.chain.ledger.plans.tallies(plan)[0].results or ()

    def counter(self, voter: SigningKey) -> int:
        """How many transactions of a voter are on the chain."""
        return self.chain.ledger.accounts[voter.public_key].counters[0]
