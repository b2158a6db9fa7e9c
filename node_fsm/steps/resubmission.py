"""Votes that a node had accepted but not yet put into a block when it stopped are posted again."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from loguru import logger

from node_fsm.chain.fragment_log import read_fragment_log, to_post_again
from node_fsm.chain.fragments import FragmentKind
from node_fsm.steps.context import Context
from node_fsm.storage.block_copy import BlockCopy
from node_fsm.storage.workspace import ChainDirectory

AT_ONCE = 100
IN_MEMPOOL = "FragmentAlreadyInLog"
"""The node's word for a fragment that it has already, waiting or decided."""


async def resubmit(ctx: Context, chain: ChainDirectory, copy: BlockCopy) -> None:
    """Post every logged fragment that has not expired and is in no block of *copy*, which is at the node's tip.

    Those that the chain had taken already go first; see :func:`to_post_again`. A fragment that cannot be applied any
    more is refused by the ledger, so nothing counts twice. To be called once the tip is at the start of voting or past
    it: before that the ledger refuses votes, and the node for good.
    """
    waiting = await asyncio.to_thread(_waiting, chain, copy, ctx.block0_in_work().dates.vote_start_time)
    accepted = refused = 0
    for start in range(0, len(waiting), AT_ONCE):
        posted = await ctx.node.api.post_fragments(waiting[start : start + AT_ONCE])
        for fragment in posted:
            logger.debug("posted {} again: {}", fragment.id, fragment.reason or "accepted")
            accepted += fragment.accepted
            refused += not fragment.accepted and fragment.reason != IN_MEMPOOL
    if accepted or refused:
        logger.log("WARNING" if refused else "INFO", "posted {} votes again, {} were refused", accepted, refused)


def _waiting(chain: ChainDirectory, copy: BlockCopy, vote_start: datetime) -> Sequence[bytes]:
    """What is in no block, in the order in which to post it.

    A vote that came before voting began was refused, and its voter may have voted otherwise since: it stays out. So do
    those that were refused later, as far as their voters have used the same counter again.
    """
    logged = (
        entry
        for entry in read_fragment_log(chain.fragments)
        if entry.fragment.kind is not FragmentKind.VOTE_CAST or entry.time >= vote_start.timestamp()
    )
    return [fragment.raw for fragment in to_post_again(logged, copy.tip.date, copy, copy.lost)]
