"""A node's main chain of hand-made blocks, which may lose blocks and turn."""

import io
from collections.abc import Iterable, Iterator
from functools import lru_cache

from node_fsm.chain.blocks import Block, BlockHeader, read_blocks
from node_fsm.chain.fragments import Fragment
from node_fsm.chain.recount import Recount, recount
from node_fsm.core.chain_time import BlockDate
from tests.chain import build


class MainChain:
    """Blocks from block 0 to the tip. Like a node it still gives blocks that left the chain, when asked by id."""

    def __init__(self, block0: bytes) -> None:
        self.blocks = [block0]
        self.known = {block_id(block0): block0}
        self.asked = 0
        self._counted: tuple[str, Recount] | None = None
        """With the tip that it is of."""

    @property
    def tip(self) -> BlockHeader:
        return header(self.blocks[-1])

    @property
    def ids(self) -> list[str]:
        return [block_id(raw) for raw in self.blocks]

    @property
    def raw(self) -> bytes:
        return b"".join(self.blocks)

    def append(self, date: tuple[int, int] | BlockDate, fragments: Iterable[bytes] = ()) -> bytes:
        """Make the next block."""
        tip = self.tip
        raw = build.block(fragments, parent=tip.id, height=tip.height + 1, date=(date[0], date[1]))
        self.blocks.append(raw)
        self.known[block_id(raw)] = raw
        return raw

    def lose(self, count: int) -> None:
        """Take the last *count* blocks off the chain, never block 0."""
        del self.blocks[max(1, len(self.blocks) - count) :]

    def counted(self) -> Recount:
        """What the chain says now."""
        tip = block_id(self.blocks[-1])
        if self._counted is None or self._counted[0] != tip:
            self._counted = tip, recount(io.BytesIO(self.raw))
        return self._counted[1]

    @property
    def block0(self) -> Block:
        return next(read_blocks(io.BytesIO(self.blocks[0])))

    def fragments(self) -> Iterator[Fragment]:
        """Those of all blocks after block 0."""
        for raw in self.blocks[1:]:
            yield from next(read_blocks(io.BytesIO(raw))).fragments()

    async def next_ids(self, block_id: str, count: int) -> list[str] | None:
        self.asked += 1
        ids = self.ids
        if block_id not in ids:
            return None
        start = ids.index(block_id) + 1
        return ids[start : start + count]

    async def block(self, block_id: str) -> bytes | None:
        return self.known.get(block_id)


@lru_cache(4096)
def block_id(raw: bytes) -> str:
    """The id of a block."""
    return build.block_id(raw)


@lru_cache(4096)
def header(raw: bytes) -> BlockHeader:
    """The header of a block."""
    return next(read_blocks(io.BytesIO(raw))).header
