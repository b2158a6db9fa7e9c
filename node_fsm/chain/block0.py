"""What a block 0 says, in one pass over its stream."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from node_fsm.chain.address import TEST_BIT
from node_fsm.chain.blocks import Block, BlockHeader, read_blocks, verify_chain
from node_fsm.chain.certificates import MintedToken, PlanCertificate, decode_minted_token, decode_vote_plan
from node_fsm.chain.configuration import decode_configuration
from node_fsm.chain.errors import MalformedError
from node_fsm.chain.fragments import ByteStream, Fragment, FragmentKind
from node_fsm.chain.transactions import Output, decode_transaction
from node_fsm.core.chain_time import ChainClock, ChainDates
from node_fsm.core.payload_type import PayloadType


class Total(NamedTuple):
    """A number of entries and the sum of their values."""

    entries: int
    value: int


@dataclass(frozen=True, slots=True)
class Block0Head:
    """What a block 0 says first: about the chain, not about its voters and plans.

    ``configuration`` is exactly what ``jcli genesis decode`` prints as ``blockchain_configuration``.
    """

    header: BlockHeader
    configuration: Mapping[str, Any]

    @property
    def hash(self) -> str:
        """The block's id, 64 hex digits."""
        return self.header.id

    @property
    def size(self) -> int:
        """The bytes of the block."""
        return self.header.size

    @property
    def clock(self) -> ChainClock:
        """The chain's time base."""
        return ChainClock(
            datetime.fromtimestamp(self.configuration["block0_date"], UTC),
            self.configuration["slot_duration"],
            self.configuration["slots_per_epoch"],
        )

    @property
    def production(self) -> bool:
        """Whether addresses are those of a production chain (``ca1…``)."""
        return bool(self.configuration["discrimination"] == "production")

    @property
    def leader_ids(self) -> tuple[str, ...]:
        """The BFT leaders in the order of their turns (``ed25519_pk1…``)."""
        return tuple(self.configuration["consensus_leader_ids"])

    @property
    def committees(self) -> tuple[str, ...]:
        """The committee ids (64 hex digits)."""
        return tuple(self.configuration.get("committees", ()))


@dataclass(frozen=True, slots=True)
class Block0Summary(Block0Head):
    """All that a block 0 says.

    ``tokens`` has a total for each token id (``policy.name``); ``vote_plans`` are in the order of the block;
    ``others`` counts the fragments of kinds that an election's block 0 does not need, by the kind's name.
    """

    funds: Total
    tokens: Mapping[str, Total]
    vote_plans: tuple[PlanCertificate, ...]
    others: Mapping[str, int]

    @property
    def dates(self) -> ChainDates | None:
        """The time base with the dates of the first plan, which are those of all; None without a plan."""
        if not self.vote_plans:
            return None
        plan = self.vote_plans[0]
        return ChainDates(self.clock, plan.vote_start, plan.vote_end, plan.committee_end)

    @property
    def private_plans(self) -> list[tuple[int, PlanCertificate]]:
        """The private plans, each with its number among all of the block."""
        plans = enumerate(self.vote_plans)
        return [(number, plan) for number, plan in plans if plan.payload_type is PayloadType.PRIVATE]

    def power_in(self, plan: PlanCertificate) -> int:
        """The power of all who may vote in *plan*."""
        token = self.tokens.get(plan.voting_token)
        return token.value if token else 0


def read_head(stream: ByteStream) -> Block0Head:
    """Read *stream*, which must be a block 0 and nothing else, as far as that takes no time.

    Of what follows the configuration only the hash is checked: at a million voters that is a fraction of a second,
    and `summarise` a quarter of a minute. MalformedError, TruncatedError, BrokenChainError (a block, but no block 0).
    """
    block = _only_block(stream)
    head = Block0Head(block.header, decode_configuration(_first_fragment(block.fragments(), block)))
    block.skip()
    _expect_end(stream, block)
    return head


def summarise(
    stream: ByteStream,
    *,
    on_fund: Callable[[Output], object] | None = None,
    on_token: Callable[[MintedToken], object] | None = None,
) -> Block0Summary:
    """Read *stream*, which must be a block 0 and nothing else.

    Every fund and token goes to *on_fund* and *on_token* in the order of the block, before its hash could be
    checked: what they gather holds only once this function has returned. Memory does not grow with the block.
    MalformedError, TruncatedError, BrokenChainError (a block, but no block 0).
    """
    block = _only_block(stream)
    summary = summarise_block(block, on_fund=on_fund, on_token=on_token)
    _expect_end(stream, block)
    return summary


def summarise_block(
    block: Block,
    *,
    on_fund: Callable[[Output], object] | None = None,
    on_token: Callable[[MintedToken], object] | None = None,
) -> Block0Summary:
    """Like `summarise`, of a *block* that is the first of a chain."""
    fragments = block.fragments()
    configuration = decode_configuration(_first_fragment(fragments, block))
    test_bit = TEST_BIT if configuration["discrimination"] == "test" else 0

    fund_count = fund_value = 0
    token_counts: Counter[str] = Counter()
    token_values: Counter[str] = Counter()
    others: Counter[str] = Counter()
    vote_plans = []
    for fragment in fragments:
        match fragment.kind:
            case FragmentKind.MINT_TOKEN:
                token = decode_minted_token(fragment)
                token_counts[token.token_id] += 1
                token_values[token.token_id] += token.value
                if on_token:
                    on_token(token)
            case FragmentKind.TRANSACTION:
                for output in _funds(fragment, test_bit):
                    fund_count += 1
                    fund_value += output.value
                    if on_fund:
                        on_fund(output)
            case FragmentKind.VOTE_PLAN:
                vote_plans.append(decode_vote_plan(fragment))
            case FragmentKind.INITIAL:
                raise MalformedError("expected no second configuration", fragment.offset)
            case other:
                others[other.name.lower()] += 1
    return Block0Summary(
        block.header,
        configuration,
        Total(fund_count, fund_value),
        {name: Total(count, token_values[name]) for name, count in token_counts.items()},
        tuple(vote_plans),
        dict(others),
    )


def _only_block(stream: ByteStream) -> Block:
    block = next(verify_chain(read_blocks(stream)), None)
    if block is None:
        raise MalformedError("expected a block 0, the stream is empty", 0)
    return block


def _first_fragment(fragments: Iterator[Fragment], block: Block) -> Fragment:
    first = next(fragments, None)
    if first is None or first.kind is not FragmentKind.INITIAL:
        raise MalformedError("expected the chain's configuration as first fragment", block.offset)
    return first


def _expect_end(stream: ByteStream, block: Block) -> None:
    if stream.read(1):
        raise MalformedError("expected the end of the stream after block 0", block.end)


def _funds(fragment: Fragment, test_bit: int) -> tuple[Output, ...]:
    transaction = decode_transaction(fragment)
    if transaction.inputs:
        raise MalformedError("expected a fund, found a transaction with inputs", fragment.offset)
    for output in transaction.outputs:
        if output.address[0] & TEST_BIT != test_bit:
            raise MalformedError("expected addresses of the chain's own discrimination", fragment.offset)
    return transaction.outputs
