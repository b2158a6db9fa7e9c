"""Fragments: what blocks consist of and what is posted to a node. Here their frame, elsewhere their content."""

from enum import IntEnum
from hashlib import blake2b
from struct import Struct
from typing import NamedTuple, Protocol, Self

from node_fsm.chain.cursor import Cursor
from node_fsm.chain.errors import MalformedError

HASH_SIZE = 32
LENGTH = Struct(">I")
_FRAME_SIZE = LENGTH.size + 2
_READ_SIZE = 1 << 20


class ByteStream(Protocol):
    """What is read from: an opened binary file, an io.BytesIO, a decompressor."""

    def read(self, size: int, /) -> bytes: ...


class FragmentKind(IntEnum):
    """The tag of a fragment."""

    INITIAL = 0
    OLD_UTXO_DECLARATION = 1
    TRANSACTION = 2
    OWNER_STAKE_DELEGATION = 3
    STAKE_DELEGATION = 4
    POOL_REGISTRATION = 5
    POOL_RETIREMENT = 6
    POOL_UPDATE = 7
    UPDATE_PROPOSAL = 8
    UPDATE_VOTE = 9
    VOTE_PLAN = 10
    VOTE_CAST = 11
    VOTE_TALLY = 12
    MINT_TOKEN = 13
    EVM = 14
    EVM_MAPPING = 15


_KINDS = tuple(FragmentKind)


class Fragment(NamedTuple):
    """One undecoded fragment.

    ``raw`` is all of it as it stands in a block and is posted to a node: four bytes of length, a zero, the tag,
    the content. ``offset`` is where it begins in what it was read from.
    """

    kind: FragmentKind
    raw: bytes
    offset: int

    @property
    def id(self) -> str:
        """The fragment id, 64 hex digits."""
        return blake2b(self.raw, digest_size=HASH_SIZE).hexdigest()

    @classmethod
    def from_bytes(cls, raw: bytes, offset: int = 0) -> Self:
        """The fragment that *raw* is, from its length to its last byte; MalformedError when it is none."""
        if len(raw) < _FRAME_SIZE:
            raise MalformedError(f"expected a fragment of at least {_FRAME_SIZE} bytes, found {len(raw)}", offset)
        size = LENGTH.unpack_from(raw)[0]
        if size != len(raw) - LENGTH.size:
            raise MalformedError(f"expected a fragment of {size} bytes, found {len(raw) - LENGTH.size}", offset)
        if raw[4]:
            raise MalformedError(f"expected a zero before the fragment's tag, found {raw[4]}", offset + 4)
        if raw[5] >= len(_KINDS):
            raise MalformedError(f"unknown fragment tag {raw[5]}", offset + 5)
        return cls(_KINDS[raw[5]], raw, offset)

    def content(self) -> Cursor:
        """A cursor at the beginning of the content."""
        return Cursor(self.raw, _FRAME_SIZE, self.offset)


def read_up_to(stream: ByteStream, size: int) -> bytes:
    """The next *size* bytes, fewer only at the end of the stream.

    Read in pieces, so that a length made of garbage does not allocate what is not there.
    """
    piece = stream.read(min(size, _READ_SIZE))
    if len(piece) == size:
        return piece
    pieces = [piece]
    missing = size - len(piece)
    while piece and missing:
        piece = stream.read(min(missing, _READ_SIZE))
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)
