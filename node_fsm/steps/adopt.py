"""The published block 0 on this machine, checked, with the copy of the chain that begins with it."""

from node_fsm.aio.threads import DISK, LONG, in_thread
from node_fsm.chain.block0 import Block0Head, read_head
from node_fsm.chain.errors import ChainDataError
from node_fsm.core.errors import PermanentError
from node_fsm.steps.context import Context
from node_fsm.storage.block_copy import BlockCopy
from node_fsm.storage.files import make_private
from node_fsm.storage.workspace import ChainDirectory


async def adopt_block0(ctx: Context) -> tuple[ChainDirectory, Block0Head]:
    """Have the published block 0 in the chain's directory, checked; from the draft, else from the database.

    The check is its hash: what has it was read fragment by fragment on leader 0, before it was published.
    PermanentError ``Block0Corrupt`` when what is published does not have its own hash.
    """
    election_id, wanted = ctx.election_in_work().election_id, ctx.block0_in_work().hash
    chain = ctx.chain()
    is_new = not await in_thread(DISK, chain.path.exists)
    draft = await _head(ctx.workspace.draft(election_id)) if is_new else None
    if draft and draft.hash == wanted:
        chain = await in_thread(DISK, ctx.workspace.adopt_draft, election_id, wanted)
    await in_thread(DISK, make_private, chain.path)
    head = await _head(chain)
    if head is None or head.hash != wanted:
        await ctx.database.download_block0(election_id, wanted, chain.block0)
        try:
            head = await head_of(chain)
        except ChainDataError as error:
            raise PermanentError("Block0Corrupt", _corrupt(election_id, str(error))) from error
        if head.hash != wanted:
            raise PermanentError("Block0Corrupt", _corrupt(election_id, f"its hash is {head.hash}"))
    return chain, head


async def head_of(chain: ChainDirectory) -> Block0Head:
    """What the chain's block 0 says first, its hash checked; ChainDataError when it is none, FileNotFoundError."""

    def read() -> Block0Head:
        with chain.block0.open("rb") as stream:
            return read_head(stream)

    return await in_thread(LONG, read)


async def open_copy(chain: ChainDirectory) -> BlockCopy:
    """Our copy of the chain's blocks; see :meth:`BlockCopy.open <node_fsm.storage.block_copy.BlockCopy.open>`."""
    return await in_thread(LONG, BlockCopy.open, chain.blocks, chain.block0)


async def _head(chain: ChainDirectory) -> Block0Head | None:
    """The head of the block 0 in a directory; None when there is none that can be read."""
    try:
        return await head_of(chain)
    except (ChainDataError, FileNotFoundError):
        return None


def _corrupt(election_id: int, fault: str) -> str:
    return (
        f"election.extras.block0 of election {election_id} is not the block 0 that its hash names: {fault};"
        " restore the row from a backup, or end the election with `node-fsm election cancel`"
    )
