"""Votes that this node cannot bring into a block that everybody has go to the leaders, through the database.

A node passes votes on to its peers as well as it can, and drops what does not fit into a buffer of eight for each; its
mempool keeps what was dropped, and never sends it again. So most of what is posted in a batch at a node that makes no
blocks would come into none.
"""

from collections.abc import Iterable

from loguru import logger

from node_fsm.aio.threads import LONG, in_thread
from node_fsm.chain.errors import MalformedError
from node_fsm.chain.fragment_log import LoggedFragment
from node_fsm.chain.fragments import Fragment, FragmentKind
from node_fsm.core.block_date import BlockDate
from node_fsm.core.model import SignedFragment
from node_fsm.steps.context import Context
from node_fsm.steps.resubmission import Resubmission
from node_fsm.storage.block_copy import BlockCopy
from node_fsm.storage.block_index import CopiedBlock

TAKEN_AT_ONCE = 1_000


class Handover:
    """What this node hands over of the votes that *votes* follows, and takes of those of others."""

    def __init__(self, ctx: Context, votes: Resubmission) -> None:
        self._ctx = ctx
        self._votes = votes
        self._handed: dict[str, BlockDate] = {}
        """What this node handed over and nobody said to be settled: the date up to which a block takes it."""
        self._taken: dict[str, BlockDate] = {}
        """The same of what others handed over."""
        self._handed_up_to: CopiedBlock | None = None

    @property
    def _makes_blocks(self) -> bool:
        return self._ctx.signing_key is not None

    def is_due(self, copy: BlockCopy) -> bool:
        """Whether votes are stuck here that nobody was given yet."""
        return bool(self._new(self._votes.stuck(copy.tip.height, makes_blocks=self._makes_blocks)))

    async def exchange(self, copy: BlockCopy, parted_behind: int | None, *, alone: bool, is_late: bool) -> None:
        """Hand over what is stuck here, and take what others handed over if this node makes blocks.

        *alone* it has nobody to hand anything over to. While the chain is split, which it is behind the block of height
        *parted_behind*, that is everything that came in since: whichever part is given up, the votes are in blocks of
        the other before they expire. When it is late, so that what waits any longer comes into no block, all that waits
        at a node without blocks of its own.
        """
        offered = self._votes.stuck(copy.tip.height, makes_blocks=self._makes_blocks)
        if parted_behind is None:
            self._handed_up_to = None
        else:
            offered += [*self._votes.waiting(), *await self._in_blocks(copy, parted_behind)]
        if is_late and not self._makes_blocks:
            offered += self._votes.waiting()
        if not alone:
            await self._hand_over(offered)
        if self._makes_blocks:
            await self._take(copy)
        await self._resolve(copy, is_split=parted_behind is not None)

    async def _in_blocks(self, copy: BlockCopy, parted_behind: int) -> list[Fragment]:
        """What the blocks behind that height hold, as far as it was not given before."""
        before = self._handed_up_to
        start = before.height if before and copy.has_block(before.id) else min(parted_behind, copy.tip.height)
        self._handed_up_to = copy.tip
        return await in_thread(LONG, copy.fragments_behind, start)

    async def _hand_over(self, fragments: Iterable[Fragment]) -> None:
        ctx = self._ctx
        if new := self._new(fragments):
            signed = [SignedFragment(id_, fragment.raw) for id_, fragment in new.items()]
            await ctx.database.hand_over(ctx.block0_in_work().hash, ctx.settings.hostname, signed)
            logger.info("handed {} votes that are in no block here to the leaders", len(new))
            self._votes.given(new)
            self._handed |= {id_: _valid_until(LoggedFragment.of(one, time=0)) for id_, one in new.items()}

    def _new(self, fragments: Iterable[Fragment]) -> dict[str, Fragment]:
        return {
            fragment.id: fragment
            for fragment in fragments
            if fragment.kind is FragmentKind.VOTE_CAST
            and fragment.id not in self._handed
            and fragment.id not in self._taken
        }

    async def _take(self, copy: BlockCopy) -> None:
        ctx = self._ctx
        block0_hash, hostname = ctx.block0_in_work().hash, ctx.settings.hostname
        for one in await ctx.database.handed_over(block0_hash, hostname, self._taken.keys(), TAKEN_AT_ONCE):
            try:
                logged = LoggedFragment.of(Fragment.from_bytes(one.raw), int(ctx.clock.now().timestamp()))
            except MalformedError:  # written by hand
                self._taken[one.id] = BlockDate(0, 0)
                continue
            self._taken[one.id] = _valid_until(logged)
            if one.id not in copy:
                self._votes.take(logged)

    async def _resolve(self, copy: BlockCopy, *, is_split: bool) -> None:
        """Nobody needs to post any more what expired, nor what is in a block of everybody's, as who gave it knows."""
        date = copy.tip.date
        done = {id_ for id_, until in (*self._handed.items(), *self._taken.items()) if until < date}
        if not is_split:
            done |= {id_ for id_ in self._handed if id_ in copy}
        if done:
            await self._ctx.database.resolve_handover(self._ctx.block0_in_work().hash, done)
            self._handed = {id_: until for id_, until in self._handed.items() if id_ not in done}
            self._taken = {id_: until for id_, until in self._taken.items() if id_ not in done}


def _valid_until(entry: LoggedFragment) -> BlockDate:
    """The last date of a block that takes it; what is no vote is over at once."""
    return entry.transaction.valid_until if entry.transaction else BlockDate(0, 0)
