"""Votes that a node had accepted but not yet put into a block when it stopped are posted again."""

import asyncio
from collections.abc import Sequence

from loguru import logger

from node_fsm.block_copy import BlockCopy
from node_fsm.chain.fragment_log import read_fragment_log, unexpired
from node_fsm.context import Context
from node_fsm.workspace import ChainDirectory

AT_ONCE = 100


async def resubmit(ctx: Context, chain: ChainDirectory, copy: BlockCopy) -> None:
    """Post every logged fragment that has not expired and is in no block of *copy*, which is at the node's tip.

    A fragment that cannot be applied any more is refused by the ledger, so nothing counts twice.
    """
    waiting = await asyncio.to_thread(_waiting, chain, copy)
    refused = 0
    for start in range(0, len(waiting), AT_ONCE):
        posted = await ctx.node.api.post_fragments(waiting[start : start + AT_ONCE])
        for fragment in posted:
            logger.debug("posted {} again: {}", fragment.id, fragment.reason or "accepted")
            refused += not fragment.accepted
    if waiting:
        logger.log("WARNING" if refused else "INFO", "posted {} votes again, {} were refused", len(waiting), refused)


def _waiting(chain: ChainDirectory, copy: BlockCopy) -> Sequence[bytes]:
    logged = read_fragment_log(chain.fragments)
    return [fragment.raw for fragment in unexpired(logged, copy.tip.date, copy)]
