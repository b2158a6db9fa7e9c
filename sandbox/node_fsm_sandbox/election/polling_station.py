"""Voters' hands: votes signed here, sent to the follower over REST, and what becomes of them."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from node_fsm.chain import bech32
from node_fsm.chain.address import ELECTION_KEY_PREFIX
from node_fsm.chain.fragments import Fragment, FragmentKind
from node_fsm.chain.transactions import Input
from node_fsm.core.block_date import BlockDate
from node_fsm.core.errors import ServiceError
from node_fsm.core.payload_type import PayloadType
from node_fsm.node.rest import NodeRest
from node_fsm.ports.answers import FragmentState, FragmentStatus
from node_fsm.programs.command import run_command
from node_fsm_sandbox.election.concurrency import together
from node_fsm_sandbox.election.draw import Ballot
from node_fsm_sandbox.election.errors import SandboxError
from node_fsm_sandbox.formats import ballots
from node_fsm_sandbox.formats import certificates as certificates_write
from node_fsm_sandbox.formats import chain as chain_write
from node_fsm_sandbox.formats.crypto import blake2b_256
from node_fsm_sandbox.jcli import certificate_texts

_AT_ONCE = 8
"""A node passes no more of a batch on to its peers."""

_POLL_SECONDS = 0.2
_JCLI_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class BallotPaper:
    """What a voter reads from the chain: which chain it is, and where a question (by external id) stands in it.

    *keys* are those that votes of a private plan, by its id, are encrypted with.
    """

    block0_hash: str
    places: dict[str, tuple[str, int]]
    expiry: BlockDate
    keys: dict[str, str] = field(default_factory=dict)


class PollingStation:
    """Casts votes through the node *entrance*; only the leaders' nodes tell of a vote why they rejected it.

    Private votes are made by *jcli*: the node takes none without the proof that it is one.
    """

    def __init__(self, entrance: NodeRest, leaders: Sequence[NodeRest], jcli: Path | None = None) -> None:
        self._entrance = entrance
        self._nodes = (entrance, *leaders)
        self._jcli = jcli

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
        fragments: list[Fragment] = []
        for start in range(0, len(ballots), _AT_ONCE):
            batch = await together(
                *(fill_in(ballot, paper, self._jcli) for ballot in ballots[start : start + _AT_ONCE])
            )
            posted = await self._entrance.post_fragments([fragment.raw for fragment in batch])
            if refused := [vote for vote in posted if not vote.accepted]:
                raise SandboxError(f"the node refuses votes: {refused[0].reason}")
            fragments += batch
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
        plans = (await self._entrance.vote_plans()).values()
        places = {proposal.id: (plan.id, index) for plan in plans for index, proposal in enumerate(plan.proposals)}
        keys = {plan.id: _election_key(plan.committee_member_keys) for plan in plans if plan.committee_member_keys}
        now = settings.clock.date_at(datetime.now(UTC))  # the tip may be old: the chain may just go on again
        return BallotPaper(settings.block0_hash, places, settings.clock.expiry(now), keys)


async def fill_in(ballot: Ballot, paper: BallotPaper, jcli: Path | None) -> Fragment:
    """A vote of either kind as it is sent to a node; *jcli* makes the private ones."""
    if ballot.question.payload_type is PayloadType.PUBLIC:
        return sign(ballot, paper)
    assert jcli, "who casts private votes has a jcli"
    plan_id, index = paper.places[ballot.question.external_id]
    made = await run_command(
        [
            *(str(jcli), "certificate", "new", "vote-cast", "private"),
            *("--vote-plan-id", plan_id, "--proposal-index", str(index), "--choice", str(ballot.choice)),
            *("--options-size", str(len(ballot.question.options)), "--key-path", "/dev/stdin"),
        ],
        setting="--jcli",
        timeout=_JCLI_SECONDS,
        stdin=paper.keys[plan_id].encode(),
    )
    return _sealed(ballot, paper, certificate_texts.read(made.stdout.decode().strip()).content)


def sign(ballot: Ballot, paper: BallotPaper) -> Fragment:
    """A public vote as it is sent to a node."""
    plan_id, index = paper.places[ballot.question.external_id]
    return _sealed(ballot, paper, certificates_write.public_vote(bytes.fromhex(plan_id), index, ballot.choice))


def _sealed(ballot: Ballot, paper: BallotPaper, certificate: bytes) -> Fragment:
    wallet = ballot.voter.wallet
    unsigned = chain_write.unsigned_transaction(
        certificate,
        paper.expiry,
        [Input(wallet.public_key, None, 0)],
    )
    counter = chain_write.spending_counter(ballot.lane, 0)
    message = chain_write.account_witness_message(bytes.fromhex(paper.block0_hash), blake2b_256(unsigned), counter)
    witness = chain_write.account_witness(counter, wallet.key.sign(message))
    return Fragment.from_bytes(chain_write.fragment(FragmentKind.VOTE_CAST, unsigned + witness))


def _election_key(member_keys: Sequence[str]) -> str:
    return bech32.encode(ELECTION_KEY_PREFIX, ballots.election_key(bech32.decode(key)[1] for key in member_keys))


async def _statuses(node: NodeRest, fragment_ids: Collection[str]) -> dict[str, FragmentStatus]:
    try:
        return await node.fragment_statuses(fragment_ids)
    except ServiceError:
        return {}  # a node that was killed knows nothing of them afterwards either


def _weight(status: FragmentStatus) -> int:
    return (FragmentState.PENDING, FragmentState.REJECTED, FragmentState.IN_A_BLOCK).index(status.state)
