"""What is asked about the blocks of a chain, kept in few bytes: 48 for a block, about 20 for each fragment in one.

A chain has a block every few seconds for weeks, and a vote for most of its voters.
"""

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from node_fsm.core.block_date import BlockDate

ID_SIZE = 32
_SLOT_BITS = 32


class CopiedBlock(NamedTuple):
    """A block in the copy, which ends there at the byte *end*."""

    id: str
    date: BlockDate
    height: int
    end: int


class BlockContent(NamedTuple):
    """What the index keeps of a block's content: fragment ids, the number of votes, tallies as (plan, fragment id)."""

    fragments: Sequence[str] = ()
    votes: int = 0
    tallies: Sequence[tuple[str, str]] = ()


class BlockIndex:
    """An index of the blocks from block 0 to the tip. Blocks are added at its end, and dropped there."""

    def __init__(self) -> None:
        self._ids = bytearray()
        self._dates = array("Q")
        self._ends = array("Q")
        self._fragments = FragmentSet()
        self._tallies: dict[str, list[tuple[str, int]]] = {}
        """By plan id the tallies in the order of the chain: fragment id, and the height of its block."""
        self.votes = 0
        """How many votes are in the blocks."""

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, height: int) -> CopiedBlock:
        height = range(len(self))[height]
        date = BlockDate(*divmod(self._dates[height], 2**_SLOT_BITS))
        return CopiedBlock(self.id_at(height), date, height, self._ends[height])

    def append(self, block: CopiedBlock, content: BlockContent) -> None:
        """Add the next block, whose height is the number of those before it."""
        self._ids += bytes.fromhex(block.id)
        self._dates.append(_packed(block.date))
        self._ends.append(block.end)
        self._fragments.add(content.fragments)
        for plan_id, fragment_id in content.tallies:
            self._tallies.setdefault(plan_id, []).append((fragment_id, block.height))
        self.votes += content.votes

    def drop_last(self, content: BlockContent) -> None:
        """Remove the last block, which has this *content*."""
        del self._ids[-ID_SIZE:]
        del self._dates[-1], self._ends[-1]
        self._fragments.remove(content.fragments)
        for plan_id, _ in content.tallies:
            self._tallies[plan_id].pop()
        self.votes -= content.votes

    def __contains__(self, fragment_id: object) -> bool:
        """Whether a block holds this fragment."""
        return fragment_id in self._fragments

    def tally(self, plan_id: str) -> tuple[str, CopiedBlock] | None:
        """The first tally of a plan: its fragment id, and its block."""
        if not self._tallies.get(plan_id):
            return None
        fragment_id, height = self._tallies[plan_id][0]
        return fragment_id, self[height]

    def first_at(self, date: BlockDate) -> CopiedBlock | None:
        """The first block dated *date* or later."""
        height = bisect_left(self._dates, _packed(date))
        return self[height] if height < len(self) else None

    def has_block(self, block_id: str) -> bool:
        """Whether a block has this id."""
        return _find(self._ids, bytes.fromhex(block_id), ID_SIZE) >= 0

    def id_at(self, height: int) -> str:
        """The id of the block of that height; IndexError."""
        start = range(len(self))[height] * ID_SIZE
        return self._ids[start : start + ID_SIZE].hex()


class FragmentSet:
    """Fragment ids, as often as they were added. Half of an id is kept, which is enough to tell it from all others."""

    _KEPT = 16
    _BUCKETS = 4096

    def __init__(self) -> None:
        self._buckets: defaultdict[int, bytearray] = defaultdict(bytearray)

    def add(self, ids: Iterable[str]) -> None:
        """Add each of *ids*, 64 hex digits."""
        for key in map(self._key, ids):
            self._bucket(key).extend(key)

    def remove(self, ids: Iterable[str]) -> None:
        """Remove each of *ids*, which was added before."""
        for key in map(self._key, ids):
            bucket = self._bucket(key)
            start = _find(bucket, key, self._KEPT)
            del bucket[start : start + self._KEPT]

    def __contains__(self, fragment_id: object) -> bool:
        if not isinstance(fragment_id, str):
            return False
        key = self._key(fragment_id)
        return _find(self._bucket(key), key, self._KEPT) >= 0

    def _key(self, fragment_id: str) -> bytes:
        return bytes.fromhex(fragment_id[-2 * self._KEPT :])

    def _bucket(self, key: bytes) -> bytearray:
        return self._buckets[int.from_bytes(key[:2]) % self._BUCKETS]


def _find(table: bytearray, key: bytes, size: int) -> int:
    """Where *key* stands among the entries of *size* bytes in *table*; -1 when it does not."""
    start = table.find(key)
    while start >= 0 and start % size:
        start = table.find(key, start + 1)
    return start


def _packed(date: BlockDate) -> int:
    return (date.epoch << _SLOT_BITS) + date.slot
