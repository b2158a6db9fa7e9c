"""What the votes in a copy of the blocks decide, read on from where it was read before."""

from itertools import islice
from pathlib import Path

from node_fsm.chain.blocks import read_blocks
from node_fsm.chain.cast import cast_key, keys_in
from node_fsm.chain.certificates import decode_vote_cast
from node_fsm.chain.fragments import Fragment
from node_fsm.storage.block_copy import BlockCopy
from node_fsm.storage.block_index import CopiedBlock, FragmentSet


class VotesCast:
    """The votes in *file*, the copy of the blocks; nothing is read before it is asked for."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read_to: CopiedBlock | None = None
        self._keys = FragmentSet()

    def follow(self, copy: BlockCopy) -> None:
        """Read the blocks up to the tip of *copy*; from the first on when the chain has turned. In a thread."""
        if self._read_to is None or not copy.has_block(self._read_to.id):
            self._read_to, self._keys = copy.block0, FragmentSet()
        with self._file.open("rb") as stream:
            stream.seek(self._read_to.end)
            new = islice(read_blocks(stream), copy.tip.height - self._read_to.height)
            self._keys.add(map(_padded, keys_in(new)))
        self._read_to = copy.tip

    def has_one_for(self, vote: Fragment) -> bool:
        """Whether the voter's say on that proposal is in a block: by this vote or by another one."""
        key = cast_key(decode_vote_cast(vote))
        return key is not None and _padded(key) in self._keys


def read_cast(file: Path) -> list[bytes]:
    """The keys of all votes in *file*, a whole chain that was counted."""
    with file.open("rb") as stream:
        return list(keys_in(read_blocks(stream)))


def _padded(key: bytes) -> str:
    """A key as the set takes it: by its last half it is told from all others."""
    return key.hex().rjust(64, "0")
