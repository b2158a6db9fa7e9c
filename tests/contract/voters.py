"""Fragments of voters who have not voted yet, on a chain with plans of all ages."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from node_fsm_sandbox.formats import certificates as certificates_write

from node_fsm.chain.fragments import Fragment, FragmentKind
from node_fsm.core.chain_time import BlockDate
from node_fsm.core.payload_type import PayloadType
from tests.contract.chains import (
    FARTHER,
    TOKEN,
    Chain,
    Plan,
    Transaction,
    Wallet,
)
from tests.contract.nodes import Node

OPEN, NOT_BEGUN, TALLYING, CLOSED = range(4)
PLANS = {
    "open": Plan(),
    "not-begun": Plan(vote_start=BlockDate(500, 0)),
    # Block 0 is dated 0.0: whatever follows another block is past the end.
    "tallying": Plan(vote_end=BlockDate(0, 1)),
    "closed": Plan(vote_end=BlockDate(0, 1), committee_end=BlockDate(0, 2)),
}
UNKNOWN_PLAN = "ff" * 32


@dataclass
class Station:
    """A node on a chain of the module's, and voters who have not voted yet."""

    node: Node
    chain: Chain
    committee: Wallet
    powerless: Wallet
    voters: Iterator[Wallet]
    stranger: Wallet = field(default_factory=Wallet)

    async def outcome(self, *fragments: Fragment) -> list[str | None]:
        """Post fragments, all of which the mempool takes; why the ledger rejected each, None when it did not."""
        assert await self.node.post(*fragments) == dict.fromkeys(fragment.id for fragment in fragments)
        return [status.reason for status in await self.node.outcomes(*fragments)]


def refused(plan_id: str, cause: str) -> str:
    return f"Voting error: cannot update the vote plan {plan_id}: error while updating the value: {cause}"


Case = tuple[Callable[[Station], Fragment], Callable[[Station], str | None]]


def plan_of(plan: int, cause: str) -> Callable[[Station], str]:
    return lambda station: refused(station.chain.plan_ids[plan], cause)


def always(reason: str | None) -> Callable[[Station], str | None]:
    return lambda _: reason


def private_vote(station: Station) -> Fragment:
    ballot = bytes([3]) + bytes(3 * 64) + bytes([2]) + bytes(2 * 256 + 32)
    certificate = certificates_write.private_vote(bytes.fromhex(station.chain.plan_ids[OPEN]), 0, ballot)
    return Transaction(station.chain, next(station.voters), certificate).sign()


def plan_content(vote_start: BlockDate, vote_end: BlockDate) -> bytes:
    return certificates_write.vote_plan(PayloadType.PUBLIC, (vote_start, vote_end, FARTHER), [], [], TOKEN)


def spoilt(fragment: Fragment) -> Fragment:
    """The fragment with another last byte, which is in the signature of who authorises it."""
    return Fragment.from_bytes(fragment.raw[:-1] + bytes([fragment.raw[-1] ^ 1]))


def plan_fragment(
    station: Station, vote_start: BlockDate, vote_end: BlockDate, authority: Wallet | None = None
) -> Fragment:
    certificate, payer = plan_content(vote_start, vote_end), next(station.voters)
    return Transaction(station.chain, payer, certificate, kind=FragmentKind.VOTE_PLAN, authority=authority).sign()


def money(station: Station, value: int, paid: int) -> Fragment:
    payer = next(station.voters)
    return Transaction(
        station.chain, payer, kind=FragmentKind.TRANSACTION, value=value, outputs=((station.stranger, paid),)
    ).sign()
