"""Votes of a chain that is let go of, and that the counted one does not have: on record before anything is deleted."""

from collections.abc import Container

from node_fsm.aio.threads import DISK, LONG, in_thread
from node_fsm.chain.cast import cast_key
from node_fsm.chain.certificates import decode_vote_cast
from node_fsm.chain.errors import ChainDataError, MalformedError
from node_fsm.chain.fragments import Fragment
from node_fsm.chain.uncounted import Uncounted, uncounted_votes
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import ArchiveKind, StoredArchive, UncountedVote
from node_fsm.core.phases import Role
from node_fsm.steps.archive import is_covered
from node_fsm.steps.context import Context
from node_fsm.storage.workspace import ChainDirectory

CLOSING_KINDS = frozenset({ArchiveKind.FINAL, ArchiveKind.SUPERSEDED})


async def is_owed(ctx: Context, chain: ChainDirectory, kind: ArchiveKind) -> bool:
    """Whether leader 0 is to archive *chain*, votes or not: others wait for that archive, or the election is not over.

    Of a chain without a copy of its blocks there can be none.
    """
    is_closing = ctx.policy.role is Role.LEADER0 and kind in CLOSING_KINDS
    return is_closing and await in_thread(DISK, chain.blocks.exists)


async def is_settled(
    ctx: Context, chain: ChainDirectory, block0_hash: str, standing: StoredArchive | None, *, withdrawn: bool
) -> bool:
    """Whether no vote is lost with what this machine has of *chain*, once :func:`record_given_up` was called.

    Archives have its blocks with votes. Those that it accepted and has in no block go on record only beside the final
    archive, and are void where block 0 was *withdrawn*. PermanentError when the copy of the blocks cannot be read.
    """
    if not await is_covered(ctx, chain, block0_hash):
        return False
    is_closed = standing is not None and standing.kind in CLOSING_KINDS
    return is_closed or withdrawn or not await _has_votes_in_no_block(chain)


async def _has_votes_in_no_block(chain: ChainDirectory) -> bool:
    if not await in_thread(DISK, chain.blocks.exists):  # a node without blocks accepts nothing
        return False
    return any(not one.in_block for one in await _uncounted(chain, frozenset()))


async def record_given_up(ctx: Context, chain: ChainDirectory, standing: StoredArchive | None) -> None:
    """Put on record which votes this machine has of *chain*, in blocks or not, that the final archive does not count.

    Does nothing unless *standing* is that archive. PermanentError when the copy of the blocks cannot be read.
    """
    if standing is None or standing.kind is not ArchiveKind.FINAL or not await in_thread(DISK, chain.blocks.exists):
        return
    block0_hash = standing.block0_hash
    counted = await ctx.database.counted_votes(block0_hash)
    lost = await _uncounted(chain, counted)
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


async def _uncounted(chain: ChainDirectory, counted: Container[bytes]) -> list[Uncounted]:
    try:
        return await in_thread(LONG, uncounted_votes, chain.blocks, chain.fragments, counted)
    except ChainDataError as error:
        raise PermanentError("BlockCopyDamaged", f"{chain.blocks} is not a chain of blocks: {error}") from error


def _row(lost: Uncounted, hostname: str) -> UncountedVote:
    why = f"in a block of {hostname}'s chain, which was not counted" if lost.in_block else "in no block"
    return UncountedVote(lost.vote.id, lost.account.hex(), lost.weight, why, lost.vote.raw)


def _key(reported: UncountedVote) -> bytes | None:
    try:
        return cast_key(decode_vote_cast(Fragment.from_bytes(reported.raw)))
    except MalformedError:  # written by hand
        return None
