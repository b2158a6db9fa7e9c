"""Votes that a node had accepted and not put into a block when it stopped, or lost with a block, are posted again."""

from collections.abc import Sequence
from datetime import datetime

from loguru import logger

from node_fsm.aio.threads import LONG, in_thread
from node_fsm.chain.fragment_log import FragmentLog, LoggedFragment, PostAgain
from node_fsm.chain.fragments import FragmentKind
from node_fsm.steps.context import Context
from node_fsm.storage.block_copy import BlockCopy
from node_fsm.storage.workspace import ChainDirectory

AT_ONCE = 100
IN_MEMPOOL = "FragmentAlreadyInLog"
"""The node's word for a fragment that it has already, waiting or decided."""


class Resubmission:
    """Follows the log of one chain's node, from where it was last read to its end."""

    def __init__(self, chain: ChainDirectory) -> None:
        self._log = FragmentLog(chain.fragments)
        self._again = PostAgain()

    async def post(self, ctx: Context, copy: BlockCopy) -> None:
        """Post every fragment that has not expired and is in no block of *copy*, which is at the node's tip.

        Those that the chain had taken already go first; see :class:`~node_fsm.chain.fragment_log.PostAgain`. A fragment
        that cannot be applied any more is refused by the ledger, so nothing counts twice. To be called once the tip is
        at the start of voting or past it: before that the ledger refuses votes, and the node for good.
        """
        waiting = await in_thread(LONG, self._waiting, copy, ctx.block0_in_work().dates.vote_start_time)
        accepted = refused = 0
        for start in range(0, len(waiting), AT_ONCE):
            posted = await ctx.node.api.post_fragments(waiting[start : start + AT_ONCE])
            for fragment in posted:
                logger.debug("posted {} again: {}", fragment.id, fragment.reason or "accepted")
                accepted += fragment.accepted
                refused += not fragment.accepted and fragment.reason != IN_MEMPOOL
        if accepted or refused:
            logger.log("WARNING" if refused else "INFO", "posted {} votes again, {} were refused", accepted, refused)

    def _waiting(self, copy: BlockCopy, vote_start: datetime) -> Sequence[bytes]:
        """What is in no block, in the order in which to post it.

        A vote that came before voting began was refused, and its voter may have voted otherwise since: it stays out. So
        do those that were refused later, as far as their voters have used the same counter again.
        """
        date = copy.tip.date
        self._again.lost(copy.take_lost())
        for entry in self._log.read():
            if not _is_early(entry, vote_start):
                self._again.logged(entry, date, copy)
        return [fragment.raw for fragment in self._again.fragments(date, copy)]


def _is_early(entry: LoggedFragment, vote_start: datetime) -> bool:
    return entry.fragment.kind is FragmentKind.VOTE_CAST and entry.time < vote_start.timestamp()
