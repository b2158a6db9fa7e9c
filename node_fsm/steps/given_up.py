"""Votes of a chain that is let go of, and that the counted one does not have: on record before anything is deleted."""

from node_fsm.aio.threads import DISK, LONG, in_thread
from node_fsm.chain.cast import cast_key
from node_fsm.chain.certificates import decode_vote_cast
from node_fsm.chain.errors import ChainDataError, MalformedError
from node_fsm.chain.fragments import Fragment
from node_fsm.chain.uncounted import Uncounted, uncounted_votes
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import ArchiveKind, StoredArchive, UncountedVote
from node_fsm.steps.context import Context
from node_fsm.storage.workspace import ChainDirectory


async def record_given_up(ctx: Context, chain: ChainDirectory, standing: StoredArchive | None) -> None:
    """Put on record which votes this machine has of *chain*, in blocks or not, that the final archive does not count.

    Does nothing unless *standing* is that archive. PermanentError when the copy of the blocks cannot be read.
    """
    if standing is None or standing.kind is not ArchiveKind.FINAL or not await in_thread(DISK, chain.blocks.exists):
        return
    block0_hash = standing.block0_hash
    counted = await ctx.database.counted_votes(block0_hash)
    try:
        lost = await in_thread(LONG, uncounted_votes, chain.blocks, chain.fragments, counted)
    except ChainDataError as error:
        raise PermanentError("BlockCopyDamaged", f"{chain.blocks} is not a chain of blocks: {error}") from error
    await ctx.database.add_uncounted(
        standing.election_id,
        standing.election_name,
        block0_hash,
        ctx.settings.hostname,
        [_row(one, ctx.settings.hostname) for one in lost],
    )
    reported = await ctx.database.uncounted(block0_hash)
    if found := [vote.fragment_id for vote in reported if _key(vote) in counted]:
        await ctx.database.forget_uncounted(block0_hash, found)


def _row(lost: Uncounted, hostname: str) -> UncountedVote:
    why = f"in a block of {hostname}'s chain, which was not counted" if lost.in_block else "in no block"
    return UncountedVote(lost.vote.id, lost.account.hex(), lost.weight, why, lost.vote.raw)


def _key(reported: UncountedVote) -> bytes | None:
    try:
        return cast_key(decode_vote_cast(Fragment.from_bytes(reported.raw)))
    except MalformedError:  # written by hand
        return None
