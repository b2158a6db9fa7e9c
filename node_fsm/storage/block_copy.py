"""Our own copy of the chain's blocks, made over the node's REST interface while it runs.

``blocks.bin`` is block 0 and every block after it up to the node's tip, raw, one after the other. Recount, archive
and verification read only this file: the node's own store is not meant for others. When the node's main chain turns
away from the copy (a reorganisation, or blocks that a killed node lost), the copy is cut back to where both agree. What
was cut off with fragments in it is kept beside the copy: later lives, too, must know which votes the chain had taken.
"""

import io
import os
from collections.abc import Iterable
from itertools import islice, pairwise
from pathlib import Path
from typing import Protocol

from loguru import logger

from node_fsm.aio.threads import DISK, in_thread
from node_fsm.chain.blocks import Block, read_blocks, verify_chain
from node_fsm.chain.certificates import decode_vote_tally
from node_fsm.chain.errors import ChainDataError, TruncatedError
from node_fsm.chain.fragments import Fragment, FragmentKind
from node_fsm.core.block_date import BlockDate
from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.storage.block_index import BlockContent, BlockIndex, CopiedBlock
from node_fsm.storage.files import copy_private, write_private

IDS_AT_ONCE = 100
LOST = "lost-blocks.bin"


class BlockSource(Protocol):
    """Where blocks come from: a node's REST interface."""

    async def next_ids(self, block_id: str, count: int) -> list[str] | None: ...
    async def block(self, block_id: str) -> bytes | None: ...


class BlockCopy:
    """The copy in one file; made by :meth:`open`. Its coroutines are called one at a time."""

    def __init__(self, file: Path, index: BlockIndex, lost: Iterable[bytes]) -> None:
        self._file = file
        self._index = index
        self._lost = list(lost)
        """The blocks with fragments in them that were cut off, in that order: of one loss the newest block first."""
        self.losses = 0
        """How many blocks with fragments in them were cut off in the life of this object."""

    @classmethod
    def open(cls, file: Path, block0: Path) -> "BlockCopy":
        """Read *file*, cutting off a last block that an earlier life did not finish; begin it with *block0*.

        Takes seconds for hundreds of thousands of votes: call it in a thread. PermanentError when the file holds
        something else: it is evidence, so it is neither mended nor overwritten.
        """
        with block0.open("rb") as stream:
            wanted = next(read_blocks(stream)).header.id
        index = _read(file) if file.exists() else BlockIndex()
        if not len(index):
            copy_private(block0, file)
            index = _read(file)
        if not len(index) or index.id_at(0) != wanted:
            raise _damaged(file, f"it does not begin with block 0 {wanted}")
        return cls(file, index, _read_lost(file.with_name(LOST)))

    @property
    def tip(self) -> CopiedBlock:
        return self._index[-1]

    @property
    def block0(self) -> CopiedBlock:
        return self._index[0]

    @property
    def votes(self) -> int:
        """How many votes are in the blocks."""
        return self._index.votes

    def take_lost(self) -> list[Fragment]:
        """The fragments of the blocks that were cut off since this was last asked, at first in earlier lives, too.

        They come in the order in which they stood in the chain; what was lost last goes before what was lost earlier,
        since the chain had taken it without that.
        """
        lost, self._lost = self._lost, []
        return [fragment for raw in reversed(lost) for fragment in _only_block(raw).fragments()]

    def __contains__(self, fragment_id: object) -> bool:
        """Whether a block of the copy holds this fragment; those of block 0 do not count."""
        return fragment_id in self._index

    def tally(self, plan_id: str) -> tuple[str, CopiedBlock] | None:
        """The first tally of a plan: its fragment id, and its block."""
        return self._index.tally(plan_id)

    def first_at(self, date: BlockDate) -> CopiedBlock | None:
        """The first block dated *date* or later."""
        return self._index.first_at(date)

    def has_block(self, block_id: str) -> bool:
        """Whether a block with this id is in the copy."""
        return self._index.has_block(block_id)

    def id_at(self, height: int) -> str | None:
        """The id of the block of that height; None when the copy does not reach it."""
        return self._index.id_at(height) if height < len(self._index) else None

    def fragments_behind(self, height: int) -> list[Fragment]:
        """The fragments of the blocks behind that of *height*, in the order of the chain. Call it in a thread."""
        with self._file.open("rb") as stream:
            stream.seek(self._index[height].end)
            blocks = islice(read_blocks(stream), self.tip.height - height)
            return [fragment for block in blocks for fragment in block.fragments()]

    async def advance(self, source: BlockSource) -> bool:
        """Follow the node's main chain to its tip; whether the copy changed."""
        before = self.tip.id
        while True:
            ids = await source.next_ids(self.tip.id, IDS_AT_ONCE)
            if ids is None:
                await self._cut_back(source)
                continue
            new = [block_id for block_id in ids if block_id != self.tip.id]
            if not new:
                return self.tip.id != before
            for block_id in new:
                raw = await source.block(block_id)
                if raw is None:
                    raise TemporaryError("BlockGone", f"the node no longer has block {block_id} of its main chain")
                await in_thread(DISK, self._append, block_id, raw, is_last=block_id == new[-1])

    def _append(self, block_id: str, raw: bytes, *, is_last: bool) -> None:
        """Write a block behind the tip, over what a write that failed has left there; to the disk after the last."""
        tip = self.tip
        try:
            block = _only_block(raw)
            copied, content = _copied(block, tip.end)
        except ChainDataError as error:
            raise TemporaryError("BlockUnreadable", f"the node gave a block that cannot be read: {error}") from error
        if block.header.parent != tip.id or copied.id != block_id:
            raise TemporaryError("ChainTurned", "the node's main chain changed while it was copied")
        with self._file.open("r+b") as stream:
            stream.truncate(tip.end)
            stream.seek(tip.end)
            stream.write(raw)
            stream.flush()
            if is_last:
                os.fsync(stream.fileno())
        self._index.append(copied, content)

    async def _cut_back(self, source: BlockSource) -> None:
        """Drop the blocks that the node's main chain does not have. A node of another chain cuts nothing off.

        A branch may be hundreds of blocks long, and votes on it expire while they are not posted again: so where it
        began is searched for in steps that double, and then halved, instead of block by block.
        """
        if len(self._index) == 1 or await source.next_ids(self.block0.id, 1) is None:
            raise PermanentError(
                "OtherChain",
                f"the node does not run on block 0 {self.block0.id}; check what listens on its REST address",
            )

        async def is_gone(height: int) -> bool:
            return await source.next_ids(self._index.id_at(height), 1) is None

        gone, step = self.tip.height, 1
        while (kept := max(gone - step, 0)) and await is_gone(kept):
            gone, step = kept, 2 * step
        while gone - kept > 1:
            middle = (gone + kept) // 2
            gone, kept = (middle, kept) if await is_gone(middle) else (gone, middle)
        await in_thread(DISK, self._drop_behind, kept)

    def _drop_behind(self, kept: int) -> None:
        """Drop the blocks behind that of height *kept*."""
        tip = self.tip
        blocks = [self._index[height] for height in range(tip.height, kept - 1, -1)]
        dropped = []
        with self._file.open("rb") as stream:
            for block, parent in pairwise(blocks):
                stream.seek(parent.end)
                raw = stream.read(block.end - parent.end)
                try:
                    dropped.append((raw, _copied(_only_block(raw), parent.end)[1]))
                except ChainDataError as error:
                    raise _damaged(self._file, str(error)) from error
        lost = [raw for raw, content in dropped if content.fragments]
        if lost:  # before the copy is cut: else nobody would know of them after an end in between
            _add_lost(self._file.with_name(LOST), lost)
        os.truncate(self._file, self._index[kept].end)
        for _, content in dropped:
            self._index.drop_last(content)
        self._lost += lost
        self.losses += len(lost)
        logger.warning(
            "{} blocks from height {} on, up to {}, are no longer on the chain", len(dropped), kept + 1, tip.id
        )


def blocks_with_fragments(file: Path) -> list[str]:
    """The ids of the whole blocks after block 0 in *file* that hold fragments, by height.

    PermanentError when the file holds something else than a chain.
    """
    found = []
    try:
        with file.open("rb") as stream:
            for block in verify_chain(read_blocks(stream)):
                block.skip()
                if block.header.height and block.header.content_size:
                    found.append(block.header.id)
    except TruncatedError:
        pass
    except ChainDataError as error:
        raise _damaged(file, str(error)) from error
    return found


def _read_lost(file: Path) -> list[bytes]:
    """The raw blocks that stand in *file*, which need not be there, up to the first that is damaged."""
    if not file.exists():
        return []
    data, ends = file.read_bytes(), [0]
    try:
        for block in read_blocks(io.BytesIO(data)):
            block.skip()
            ends.append(block.end)
    except ChainDataError as error:
        logger.warning("{} is not all that the chain had lost: {}", file, error)
    return [data[start:end] for start, end in pairwise(ends)]


def _add_lost(file: Path, blocks: Iterable[bytes]) -> None:
    before = file.read_bytes() if file.exists() else b""
    write_private(file, before + b"".join(blocks))


def _read(file: Path) -> BlockIndex:
    """An index of the whole blocks in *file*; an unfinished one is cut off."""
    index = BlockIndex()
    try:
        with file.open("rb") as stream:
            for block in verify_chain(read_blocks(stream)):
                index.append(*_copied(block, block.offset))
    except TruncatedError as error:
        logger.info("cutting an unfinished block off {}: {}", file.name, error)
        os.truncate(file, error.offset)
    except ChainDataError as error:
        raise _damaged(file, str(error)) from error
    return index


def _damaged(file: Path, fault: str) -> PermanentError:
    return PermanentError(
        "BlockCopyDamaged", f"{file} is not a chain of blocks: {fault}; move it away to have it copied anew"
    )


def _only_block(raw: bytes) -> Block:
    """The one block that *raw* is; ChainDataError."""
    block = next(read_blocks(io.BytesIO(raw)), None)
    if block is None or block.end != len(raw):
        raise ChainDataError(f"expected one block, found {len(raw)} bytes", 0)
    return block


def _copied(block: Block, offset: int) -> tuple[CopiedBlock, BlockContent]:
    """What the index keeps of a block that stands at *offset* in the copy; all of it is read and checked."""
    header = block.header
    copied = CopiedBlock(header.id, header.date, header.height, offset + header.size)
    if not header.height:
        block.skip()
        return copied, BlockContent()
    fragments: list[str] = []
    tallies: list[tuple[str, str]] = []
    votes = 0
    for fragment in block.fragments():
        fragments.append(fragment.id)
        votes += fragment.kind is FragmentKind.VOTE_CAST
        if fragment.kind is FragmentKind.VOTE_TALLY:
            tallies.append((decode_vote_tally(fragment).plan_id, fragments[-1]))
    return copied, BlockContent(fragments, votes, tallies)
