"""Our own copy of the chain's blocks, made over the node's REST interface while it runs.

``blocks.bin`` is block 0 and every block after it up to the node's tip, raw, one after the other. Recount, archive
and verification read only this file: the node's own store is not meant for others. When the node's main chain turns
away from the copy (a reorganisation, or blocks that a killed node lost), the copy is cut back to where both agree.
"""

import io
import os
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from loguru import logger

from node_fsm.chain.blocks import Block, read_blocks, verify_chain
from node_fsm.chain.certificates import decode_vote_tally
from node_fsm.chain.errors import ChainDataError, TruncatedError
from node_fsm.chain.fragments import FragmentKind
from node_fsm.core.chain_time import BlockDate
from node_fsm.core.errors import PermanentError, TemporaryError

IDS_AT_ONCE = 100


class BlockSource(Protocol):
    """Where blocks come from: a node's REST interface."""

    async def next_ids(self, block_id: str, count: int) -> list[str] | None: ...
    async def block(self, block_id: str) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class CopiedBlock:
    """A block in the copy: its bytes end at *end*; *fragments* are the ids of what it holds, *votes* of them votes."""

    id: str
    date: BlockDate
    height: int
    end: int
    fragments: tuple[str, ...]
    votes: int
    tallies: dict[str, str]
    """The tallies in the block: plan id to fragment id."""


class BlockCopy:
    """The copy in one file; made by :meth:`open`."""

    def __init__(self, file: Path, blocks: list[CopiedBlock]) -> None:
        self._file = file
        self._blocks = blocks
        self._fragments = {fragment for block in blocks for fragment in block.fragments}
        self._lost: list[CopiedBlock] = []
        """The blocks with fragments in them that were cut off, in that order: of one loss the newest block first."""

    @classmethod
    def open(cls, file: Path, block0: Path) -> "BlockCopy":
        """Read *file*, cutting off a last block that an earlier life did not finish; begin it with *block0*.

        PermanentError when the file holds something else: it is evidence, so it is neither mended nor overwritten.
        """
        with block0.open("rb") as stream:
            wanted = next(read_blocks(stream)).header.id
        blocks = _read(file) if file.exists() else []
        if not blocks:
            partial = file.with_name(file.name + ".partial")
            partial.touch(mode=0o600)
            partial.write_bytes(block0.read_bytes())
            partial.rename(file)
            blocks = _read(file)
        if not blocks or blocks[0].id != wanted:
            raise _damaged(file, f"it does not begin with block 0 {wanted}")
        return cls(file, blocks)

    @property
    def tip(self) -> CopiedBlock:
        return self._blocks[-1]

    @property
    def block0(self) -> CopiedBlock:
        return self._blocks[0]

    @property
    def votes(self) -> int:
        """How many votes are in the blocks."""
        return sum(block.votes for block in self._blocks)

    @property
    def losses(self) -> int:
        """How many blocks with fragments in them were cut off in the life of this object."""
        return len(self._lost)

    @property
    def lost(self) -> Iterator[str]:
        """The ids of the fragments in those blocks, also of such as are in blocks again.

        They come in the order in which they stood in the chain; what was lost last goes before what was lost earlier,
        since the chain had taken it without that.
        """
        return (fragment for block in reversed(self._lost) for fragment in block.fragments)

    def __contains__(self, fragment_id: object) -> bool:
        """Whether a block of the copy holds this fragment; those of block 0 do not count."""
        return fragment_id in self._fragments

    def tally(self, plan_id: str) -> tuple[str, CopiedBlock] | None:
        """The first tally of a plan: its fragment id, and its block."""
        for block in self._blocks:
            if plan_id in block.tallies:
                return block.tallies[plan_id], block
        return None

    def first_at(self, date: BlockDate) -> CopiedBlock | None:
        """The first block dated *date* or later."""
        index = bisect_left(self._blocks, date, key=lambda block: block.date)
        return self._blocks[index] if index < len(self._blocks) else None

    def has_block(self, block_id: str) -> bool:
        """Whether a block with this id is in the copy."""
        return any(block.id == block_id for block in reversed(self._blocks))

    def id_at(self, height: int) -> str | None:
        """The id of the block of that height; None when the copy does not reach it."""
        return self._blocks[height].id if height < len(self._blocks) else None

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
            await self._append(source, new)

    async def _append(self, source: BlockSource, ids: list[str]) -> None:
        with self._file.open("ab") as stream:
            for block_id in ids:
                raw = await source.block(block_id)
                if raw is None:
                    raise TemporaryError("BlockGone", f"the node no longer has block {block_id} of its main chain")
                copied, parent = _parse(raw, self.tip.end)
                if parent != self.tip.id or copied.id != block_id:
                    raise TemporaryError("ChainTurned", "the node's main chain changed while it was copied")
                stream.write(raw)
                self._blocks.append(copied)
                self._fragments.update(copied.fragments)
            stream.flush()
            os.fsync(stream.fileno())

    async def _cut_back(self, source: BlockSource) -> None:
        """Drop the last block: the node's main chain does not have it. A node of another chain cuts nothing off."""
        if len(self._blocks) == 1 or await source.next_ids(self.block0.id, 1) is None:
            raise PermanentError(
                "OtherChain",
                f"the node does not run on block 0 {self.block0.id}; check what listens on its REST address",
            )
        dropped = self._blocks.pop()
        logger.warning("block {} of height {} is no longer on the chain", dropped.id, dropped.height)
        self._fragments.difference_update(dropped.fragments)
        if dropped.fragments:
            self._lost.append(dropped)
        os.truncate(self._file, self.tip.end)


def _read(file: Path) -> list[CopiedBlock]:
    """The whole blocks in *file*; an unfinished one is cut off."""
    blocks: list[CopiedBlock] = []
    try:
        with file.open("rb") as stream:
            blocks.extend(_copied(block, block.offset) for block in verify_chain(read_blocks(stream)))
    except TruncatedError as error:
        logger.info("cutting an unfinished block off {}: {}", file.name, error)
        os.truncate(file, error.offset)
    except ChainDataError as error:
        raise _damaged(file, str(error)) from error
    return blocks


def _damaged(file: Path, fault: str) -> PermanentError:
    return PermanentError(
        "BlockCopyDamaged", f"{file} is not a chain of blocks: {fault}; move it away to have it copied anew"
    )


def _parse(raw: bytes, offset: int) -> tuple[CopiedBlock, str]:
    """A block that will stand at *offset* in the copy, and the id of its parent."""
    try:
        found = [(_copied(block, offset), block.header.parent) for block in read_blocks(io.BytesIO(raw))]
    except ChainDataError as error:
        raise TemporaryError("BlockUnreadable", f"the node gave a block that cannot be read: {error}") from error
    if len(found) != 1:
        raise TemporaryError("BlockUnreadable", f"the node gave {len(found)} blocks instead of one")
    return found[0]


def _copied(block: Block, offset: int) -> CopiedBlock:
    fragments: list[str] = []
    tallies: dict[str, str] = {}
    votes = 0
    for fragment in block.fragments():
        if block.header.height:
            fragments.append(fragment.id)
        votes += fragment.kind is FragmentKind.VOTE_CAST
        if fragment.kind is FragmentKind.VOTE_TALLY:
            tallies.setdefault(decode_vote_tally(fragment).plan_id, fragment.id)
    header = block.header
    return CopiedBlock(
        id=header.id,
        date=header.date,
        height=header.height,
        end=offset + header.size,
        fragments=tuple(fragments),
        votes=votes,
        tallies=tallies,
    )
