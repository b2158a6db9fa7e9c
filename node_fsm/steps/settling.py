"""Blocks that stay: a killed node loses those of its last second or more."""

from datetime import timedelta

from node_fsm.steps.context import Context
from node_fsm.storage.block_copy import BlockCopy
from node_fsm.storage.block_index import CopiedBlock

SETTLING = timedelta(seconds=2)


def has_settled(ctx: Context, copy: BlockCopy, block: CopiedBlock) -> bool:
    """Whether *block* is old enough to stay, by this machine's clock or by the chain's: the former may be wrong."""
    clock = ctx.block0_in_work().dates.clock
    settled_at = clock.time_at(block.date) + SETTLING
    return ctx.clock.now() >= settled_at or clock.time_at(copy.tip.date) >= settled_at
