"""What nodes tell each other about votes: those that one cannot bring into a block, and those that are not counted."""

import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from node_fsm.aio.threads import LONG, in_thread
from node_fsm.chain.block0 import summarise
from node_fsm.chain.blocks import read_blocks
from node_fsm.chain.certificates import MintedToken, decode_vote_cast
from node_fsm.chain.errors import MalformedError
from node_fsm.chain.fragment_log import LoggedFragment
from node_fsm.chain.fragments import Fragment, FragmentKind
from node_fsm.core.errors import TemporaryError
from node_fsm.core.model import SignedFragment, UncountedVote
from node_fsm.core.phases import Role
from node_fsm.steps.context import Context
from node_fsm.steps.resubmission import Resubmission
from node_fsm.steps.settling import has_settled
from node_fsm.storage.block_copy import BlockCopy
from node_fsm.storage.workspace import ChainDirectory

EXCHANGE_SECONDS = 5.0
TAKEN_AT_ONCE = 1_000


class LostVotes:
    """What this node tells of the votes that *votes* follows; the node takes what others hand over."""

    def __init__(self, ctx: Context, chain: ChainDirectory, votes: Resubmission) -> None:
        self._ctx = ctx
        self._chain = chain
        self._votes = votes
        self._next_exchange = 0.0
        self._handed: set[str] = set()
        self._reported: frozenset[str] = frozenset()
        self._settled: str | None = None
        """The last counted block of the chain about which all was told."""
        self._weights: dict[str, Mapping[bytes, int]] | None = None

    async def exchange(self, copy: BlockCopy) -> None:
        """Every few seconds, and as far as the database answers: hand over, take, and say what is lost."""
        ctx = self._ctx
        dates, now = ctx.block0_in_work().dates, ctx.clock.monotonic()
        if copy.tip.date < dates.vote_start or now < self._next_exchange:
            return
        self._next_exchange = now + EXCHANGE_SECONDS
        with suppress(TemporaryError):
            if copy.tip.date < dates.vote_end:
                await self._hand_over(copy)
                await self._report(self._votes.expired(copy))
            elif ctx.policy.role is Role.NODE:  # leader 0 does when it counts
                await self._settle_once(copy)

    async def settle(self, copy: BlockCopy) -> int:
        """Say of every vote that came in time and that *copy*, the chain that is counted, does not have, why; how many.

        What other nodes reported and the chain has is forgotten.
        """
        block0_hash = self._ctx.block0_in_work().hash
        lost = await self._votes.outstanding(self._ctx, copy)
        spent = await in_thread(LONG, _spent_in, self._chain.blocks) if lost else frozenset()
        await self._report([entry for entry in lost if entry.spent not in spent])
        if self._ctx.policy.role is Role.LEADER0:
            reported = await self._ctx.database.uncounted(block0_hash)
            counted = [vote.fragment_id for vote in reported if vote.fragment_id in copy]
            if counted:
                await self._ctx.database.forget_uncounted(block0_hash, counted)
        return len(self._reported)

    async def _settle_once(self, copy: BlockCopy) -> None:
        last = copy.first_at(self._ctx.block0_in_work().dates.vote_end)
        if last and last.id != self._settled and has_settled(self._ctx, copy, last):
            await self.settle(copy)
            self._settled = last.id

    async def _hand_over(self, copy: BlockCopy) -> None:
        ctx, votes = self._ctx, self._votes
        block0_hash, hostname = ctx.block0_in_work().hash, ctx.settings.hostname
        stuck = [fragment for fragment in votes.stuck(copy.tip.height) if fragment.id not in self._handed]
        if stuck:
            await ctx.database.hand_over(
                block0_hash, hostname, [SignedFragment(fragment.id, fragment.raw) for fragment in stuck]
            )
            self._handed |= {fragment.id for fragment in stuck}
        if done := {fragment_id for fragment_id in self._handed if fragment_id in copy}:
            await ctx.database.resolve_handover(block0_hash, done)
            self._handed -= done
        offered = await ctx.database.handed_over(block0_hash, hostname, TAKEN_AT_ONCE)
        for one in offered:
            if one.id not in copy:
                with suppress(MalformedError):  # written by hand
                    votes.take(Fragment.from_bytes(one.raw), int(ctx.clock.now().timestamp()))

    async def _report(self, lost: Iterable[LoggedFragment]) -> None:
        """Say which votes are lost, if they are others than were said last."""
        by_id = {entry.fragment.id: entry for entry in lost}
        if frozenset(by_id) == self._reported:
            return
        ctx, work = self._ctx, self._ctx.election_in_work()
        if self._weights is None:
            self._weights = await in_thread(LONG, _weights, self._chain.block0)
        rows = [row for entry in by_id.values() if (row := self._row(entry))]
        block0_hash = ctx.block0_in_work().hash
        await ctx.database.report_uncounted(
            work.election_id, work.election_name, block0_hash, ctx.settings.hostname, rows
        )
        self._reported = frozenset(by_id)

    def _row(self, entry: LoggedFragment) -> UncountedVote | None:
        """None for what no chain would count: a vote without weight."""
        assert self._weights is not None
        vote = decode_vote_cast(entry.fragment)
        weight = self._weights.get(vote.plan_id, {}).get(vote.account, 0) if vote.account else 0
        if not weight or vote.account is None:
            return None
        why = self._votes.why(entry.fragment.id)
        return UncountedVote(entry.fragment.id, vote.account.hex(), weight, why, entry.fragment.raw)


def _weights(block0: Path) -> dict[str, Mapping[bytes, int]]:
    """By plan id: what each account's vote weighs."""
    tokens: defaultdict[str, defaultdict[bytes, int]] = defaultdict(lambda: defaultdict(int))

    def add(token: MintedToken) -> None:
        tokens[token.token_id][token.account] += token.value

    with block0.open("rb") as stream:
        summary = summarise(io.BytesIO(stream.read()), on_token=add)
    return {plan.id: dict(tokens[plan.voting_token]) for plan in summary.vote_plans}


def _spent_in(blocks: Path) -> frozenset[tuple[bytes, int, int]]:
    """What the votes in the blocks have spent: whoever voted twice with one counter is counted once."""
    with blocks.open("rb") as stream:
        return frozenset(spent for entry in _votes_in(stream) if (spent := entry.spent))


def _votes_in(stream: io.BufferedReader) -> Iterator[LoggedFragment]:
    chain = read_blocks(stream)
    next(chain).skip()
    for block in chain:
        for fragment in block.fragments():
            if fragment.kind is FragmentKind.VOTE_CAST:
                yield LoggedFragment.of(fragment, time=0)
