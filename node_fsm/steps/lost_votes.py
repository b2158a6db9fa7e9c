"""What a node tells of votes that are not counted: while people vote when they expire, all of them afterwards."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from node_fsm.aio.threads import LONG, in_thread
from node_fsm.chain.blocks import read_blocks
from node_fsm.chain.cast import cast_key
from node_fsm.chain.certificates import decode_vote_cast
from node_fsm.chain.errors import MalformedError
from node_fsm.chain.fragment_log import LoggedFragment
from node_fsm.chain.fragments import Fragment
from node_fsm.chain.voting_power import VotingPower
from node_fsm.core.errors import TemporaryError
from node_fsm.core.model import UncountedVote
from node_fsm.core.phases import Role
from node_fsm.steps.context import Context
from node_fsm.steps.handover import Handover
from node_fsm.steps.resubmission import YOUNG_BLOCKS, Resubmission
from node_fsm.steps.settling import has_settled
from node_fsm.storage.block_copy import BlockCopy
from node_fsm.storage.votes_cast import VotesCast
from node_fsm.storage.workspace import ChainDirectory

EXCHANGE_SECONDS = 5.0
HURRY_SECONDS = 1.0
"""While the chain is split votes of the part that will be given up are about to expire, and late voting is to end;
and a node is not started anew for votes that others were given."""

LATE_SLOTS = 2 * YOUNG_BLOCKS
"""So near to the end, and two exchanges nearer, votes that only then were found in no block would come into none."""


class LostVotes:
    """What this node tells of the votes that *votes* follows; the node takes what others hand over."""

    def __init__(self, ctx: Context, chain: ChainDirectory, votes: Resubmission) -> None:
        self._ctx = ctx
        self._chain = chain
        self._votes = votes
        self._handover = Handover(ctx, votes)
        self._cast = VotesCast(chain.blocks)
        self._exchanged_at = -EXCHANGE_SECONDS
        self._reported: frozenset[str] = frozenset()
        self._settled: str | None = None
        """The last counted block of the chain about which all was told."""
        self._power: VotingPower | None = None

    async def exchange(self, copy: BlockCopy, parted_behind: int | None = None, *, alone: bool = False) -> None:
        """Every few seconds, and as far as the database answers: hand over, take, and say what is lost.

        *parted_behind* is the height behind which another node's chain is another one, None when there is none;
        *alone* says that nobody else makes blocks.
        """
        ctx = self._ctx
        dates, now = ctx.block0_in_work().dates, ctx.clock.monotonic()
        is_late = _seconds_left(ctx) < LATE_SLOTS * dates.clock.slot_duration + 2 * EXCHANGE_SECONDS
        in_a_hurry = parted_behind is not None or is_late or (not alone and self._handover.is_due(copy))
        pause = HURRY_SECONDS if in_a_hurry else EXCHANGE_SECONDS
        if copy.tip.date < dates.vote_start or now - self._exchanged_at < pause:
            return
        self._exchanged_at = now
        with suppress(TemporaryError):
            if copy.tip.date < dates.vote_end:
                await self._handover.exchange(copy, parted_behind, alone=alone, is_late=is_late)
                await self._report(await self._lost(copy, self._votes.expired(copy)))
            elif ctx.policy.role is Role.NODE:  # leader 0 does when it counts
                await self._settle_once(copy)

    async def settle(self, copy: BlockCopy) -> None:
        """Say of every vote that came in time and that *copy*, the chain that is counted, does not have, why.

        What other nodes reported and the chain has is forgotten, and nobody posts any more what was handed over.
        """
        block0_hash = self._ctx.block0_in_work().hash
        await self._report(await self._lost(copy, await self._votes.outstanding(self._ctx, copy)))
        if self._ctx.policy.role is Role.LEADER0:
            reported = await self._ctx.database.uncounted(block0_hash)
            await in_thread(LONG, self._cast.follow, copy)
            counted = [vote.fragment_id for vote in reported if self._is_counted(vote)]
            if counted:
                await self._ctx.database.forget_uncounted(block0_hash, counted)
            await self._ctx.database.resolve_handover(block0_hash)

    def _is_counted(self, reported: UncountedVote) -> bool:
        with suppress(MalformedError):  # written by hand
            return self._cast.has_one_for(Fragment.from_bytes(reported.raw))
        return False

    async def _settle_once(self, copy: BlockCopy) -> None:
        last = copy.first_at(self._ctx.block0_in_work().dates.vote_end)
        if last and last.id != self._settled and has_settled(self._ctx, copy, last):
            await self.settle(copy)
            self._settled = last.id

    async def _lost(self, copy: BlockCopy, entries: Iterable[LoggedFragment]) -> list[LoggedFragment]:
        """Those of *entries* whose voters' say on that proposal is in no block by any vote; one for each such say."""
        latest = {cast_key(decode_vote_cast(entry.fragment)): entry for entry in entries}
        if latest:
            await in_thread(LONG, self._cast.follow, copy)
        return [entry for entry in latest.values() if not self._cast.has_one_for(entry.fragment)]

    async def _report(self, lost: Iterable[LoggedFragment]) -> None:
        """Say which votes are lost, if they are others than were said last."""
        by_id = {entry.fragment.id: entry.fragment for entry in lost}
        if frozenset(by_id) == self._reported:
            return
        ctx, work = self._ctx, self._ctx.election_in_work()
        if self._power is None:
            self._power = await in_thread(LONG, _read_power, self._chain.block0)
        power = self._power
        rows = [row for vote in by_id.values() if (row := self._row(vote, power))]
        block0_hash = ctx.block0_in_work().hash
        await ctx.database.report_uncounted(
            work.election_id, work.election_name, block0_hash, ctx.settings.hostname, rows
        )
        self._reported = frozenset(by_id)

    def _row(self, vote: Fragment, power: VotingPower) -> UncountedVote | None:
        """None for what no chain would count: a vote without weight."""
        cast = decode_vote_cast(vote)
        weight = power.weight(cast)
        if not weight or cast.account is None:
            return None
        return UncountedVote(vote.id, cast.account.hex(), weight, self._votes.why(vote.id), vote.raw)


def _seconds_left(ctx: Context) -> float:
    return (ctx.block0_in_work().dates.vote_end_time - ctx.clock.now()).total_seconds()


def _read_power(block0: Path) -> VotingPower:
    with block0.open("rb") as stream:
        return VotingPower.read(next(read_blocks(stream)))
