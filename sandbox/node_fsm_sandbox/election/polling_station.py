"""Voters' hands: votes signed here, sent to the follower over REST, and what becomes of them."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from node_fsm.chain.fragments import Fragment, FragmentKind
from node_fsm.chain.transactions import Input
from node_fsm.core.block_date import BlockDate
from node_fsm.core.errors import ServiceError
from node_fsm.node.rest import NodeRest
from node_fsm.ports.answers import FragmentState, FragmentStatus
from node_fsm_sandbox.election.draw import Ballot
from node_fsm_sandbox.election.errors import SandboxError
from node_fsm_sandbox.formats import certificates as certificates_write
from node_fsm_sandbox.formats import chain as chain_write
from node_fsm_sandbox.formats.crypto import blake2b_256

_AT_ONCE = 8
"""A node passes no more of a batch on to its peers."""

_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class BallotPaper:
    """What a voter reads from the chain: which chain it is, and where a question (by external id) stands in it."""

    block0_hash: str
    places: dict[str, tuple[str, int]]
    expiry: BlockDate


class PollingStation:
    """Casts votes through the node *entrance*; only the leaders' nodes tell of a vote why they rejected it."""

    def __init__(self, entrance: NodeRest, leaders: Sequence[NodeRest]) -> None:
        self._entrance = entrance
        self._nodes = (entrance, *leaders)

    async def wait_for_tip(self, time: datetime, seconds: float | None = None) -> None:
        """Wait until the chain's tip is dated *time* or later, which is what votes are judged by.

        Waits through starts and restarts of the node; TimeoutError after *seconds*.
        """
        async with asyncio.timeout(seconds):
            while True:
                with suppress(ServiceError):  # the node starts
                    clock = (await self._entrance.settings()).clock
                    if clock.time_at((await self._entrance.stats()).tip_date) >= time:
                        return
                await asyncio.sleep(_POLL_SECONDS)

    async def cast(self, ballots: Sequence[Ballot]) -> list[str]:
        """Send votes; their fragment ids. Sent is not counted: see outcomes()."""
        paper = await self.paper()
        fragments = [sign(ballot, paper) for ballot in ballots]
        for start in range(0, len(fragments), _AT_ONCE):
            batch = fragments[start : start + _AT_ONCE]
            posted = await self._entrance.post_fragments([fragment.raw for fragment in batch])
            if refused := [vote for vote in posted if not vote.accepted]:
                raise SandboxError(f"the node refuses votes: {refused[0].reason}")
        return [fragment.id for fragment in fragments]

    async def outcomes(self, fragment_ids: Collection[str]) -> dict[str, FragmentStatus]:
        """What the nodes know of votes. In a block on one node goes before everything that others say."""
        known: dict[str, FragmentStatus] = {}
        for answer in await asyncio.gather(*(_statuses(node, fragment_ids) for node in self._nodes)):
            for fragment_id, status in answer.items():
                if fragment_id not in known or _weight(status) > _weight(known[fragment_id]):
                    known[fragment_id] = status
        return known

    async def settled(self, fragment_ids: Sequence[str], seconds: float) -> list[FragmentStatus]:
        """What became of votes, in order, once each is in a block or rejected; TimeoutError after *seconds*."""
        async with asyncio.timeout(seconds):
            while True:
                known = await self.outcomes(fragment_ids)
                found = [known[fragment_id] for fragment_id in fragment_ids if fragment_id in known]
                if len(found) == len(fragment_ids) and all(
                    status.state is not FragmentState.PENDING for status in found
                ):
                    return found
                await asyncio.sleep(_POLL_SECONDS)

    async def paper(self) -> BallotPaper:
        """What votes are made for now."""
        settings = await self._entrance.settings()
        places = {
            proposal.id: (plan.id, index)
            for plan in (await self._entrance.vote_plans()).values()
            for index, proposal in enumerate(plan.proposals)
        }
        now = settings.clock.date_at(datetime.now(UTC))  # the tip may be old: the chain may just go on again
        return BallotPaper(settings.block0_hash, places, settings.clock.expiry(now))


def sign(ballot: Ballot, paper: BallotPaper) -> Fragment:
    """A public vote as it is sent to a node."""
    wallet = ballot.voter.wallet
    plan_id, index = paper.places[ballot.question.external_id]
    unsigned = chain_write.unsigned_transaction(
        certificates_write.public_vote(bytes.fromhex(plan_id), index, ballot.choice),
        paper.expiry,
        [Input(wallet.public_key, None, 0)],
    )
    counter = chain_write.spending_counter(ballot.lane, 0)
    message = chain_write.account_witness_message(bytes.fromhex(paper.block0_hash), blake2b_256(unsigned), counter)
    witness = chain_write.account_witness(counter, wallet.key.sign(message))
    return Fragment.from_bytes(chain_write.fragment(FragmentKind.VOTE_CAST, unsigned + witness))


async def _statuses(node: NodeRest, fragment_ids: Collection[str]) -> dict[str, FragmentStatus]:
    try:
        return await node.fragment_statuses(fragment_ids)
    except ServiceError:
        return {}  # a node that was killed knows nothing of them afterwards either


def _weight(status: FragmentStatus) -> int:
    return (FragmentState.PENDING, FragmentState.REJECTED, FragmentState.IN_A_BLOCK).index(status.state)
