"""Reading blocks, one after the other, from a stream of raw blocks such as ``block0.bin`` or ``blocks.bin``."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b
from struct import Struct

from node_fsm.chain.errors import BrokenChainError, MalformedError, TruncatedError
from node_fsm.chain.fragments import HASH_SIZE, LENGTH, ByteStream, Fragment, read_up_to
from node_fsm.core.block_date import BlockDate

NO_PARENT = "00" * HASH_SIZE
_PIECE_SIZE = 2**20
_COMMON = Struct(f">BIIII{HASH_SIZE}s{HASH_SIZE}s")


class BlockVersion(IntEnum):
    """How a block is signed: not at all (block 0), by a BFT leader, by a stake pool."""

    UNSIGNED = 0
    BFT = 1
    GENESIS_PRAOS = 2


# A BFT header goes on with leader id and signature; a praos one with pool id, VRF proof and KES signature.
_HEADER_SIZES = {
    BlockVersion.UNSIGNED: _COMMON.size,
    BlockVersion.BFT: _COMMON.size + 32 + 64,
    BlockVersion.GENESIS_PRAOS: _COMMON.size + 32 + 96 + 484,
}


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """A block's header. Hashes are 64 hex digits; ``leader`` is a BFT leader's public key, else None."""

    id: str
    version: BlockVersion
    date: BlockDate
    height: int
    parent: str
    content_hash: str
    content_size: int
    leader: bytes | None

    @property
    def size(self) -> int:
        """The bytes of the whole block in a stream."""
        return 1 + _HEADER_SIZES[self.version] + self.content_size


class Block:
    """A block whose header has been read and whose fragments are read as they are asked for."""

    def __init__(self, header: BlockHeader, offset: int, stream: ByteStream) -> None:
        self.header = header
        self.offset = offset
        self._stream = stream
        self._left = header.content_size
        self._digest = blake2b(digest_size=HASH_SIZE)

    @property
    def end(self) -> int:
        """The offset of the first byte after the block."""
        return self.offset + self.header.size

    def fragments(self) -> Iterator[Fragment]:
        """The fragments in order, each given once. They are trustworthy when the iterator has ended.

        The end is where the content hash is checked; MalformedError, TruncatedError.
        """
        stream, digest = self._stream, self._digest
        while self._left:
            offset = self.end - self._left
            if self._left < LENGTH.size:
                raise MalformedError(f"expected a fragment, the block's content has {self._left} bytes left", offset)
            prefix = read_up_to(stream, LENGTH.size)
            if len(prefix) < LENGTH.size:
                raise self._truncated()
            size = LENGTH.size + LENGTH.unpack(prefix)[0]
            if size > self._left:
                raise MalformedError(
                    f"expected a fragment of at most {self._left} bytes, which the block's content has left, "
                    f"found one of {size}",
                    offset,
                )
            raw = prefix + read_up_to(stream, size - LENGTH.size)
            if len(raw) < size:
                raise self._truncated()
            digest.update(raw)
            self._left -= size
            yield Fragment.from_bytes(raw, offset)
        self._check_hash()

    def skip(self) -> None:
        """Read what is left of the block, and check that it is what was hashed; its fragments are not looked at.

        MalformedError, TruncatedError.
        """
        while self._left:
            piece = self._stream.read(min(self._left, _PIECE_SIZE))
            if not piece:
                raise self._truncated()
            self._digest.update(piece)
            self._left -= len(piece)
        self._check_hash()

    def _check_hash(self) -> None:
        if self._digest.hexdigest() != self.header.content_hash:
            raise MalformedError(
                f"block {self.header.id} has content of hash {self._digest.hexdigest()}, "
                f"its header says {self.header.content_hash}",
                self.offset,
            )

    def _truncated(self) -> TruncatedError:
        return TruncatedError(
            f"the stream ends within block {self.header.id} of height {self.header.height}, "
            f"which has {self.header.size} bytes",
            self.offset,
        )


def read_blocks(stream: ByteStream) -> Iterator[Block]:
    """The blocks of *stream* from where it stands to its end; offsets count from there.

    Before the next block is given, the rest of the one before is read and checked. MalformedError,
    TruncatedError. Hand in a buffered stream: the reads are small.
    """
    offset = 0
    while header := _read_header(stream, offset):
        block = Block(header, offset, stream)
        yield block
        block.skip()
        offset = block.end


def verify_chain(blocks: Iterable[Block]) -> Iterator[Block]:
    """Pass *blocks* on, each after checking that it follows the one before, the first being a block 0.

    BrokenChainError names the block that does not.
    """
    previous: BlockHeader | None = None
    for block in blocks:
        if fault := _fault_of_first(block.header) if previous is None else _fault(previous, block.header):
            raise BrokenChainError(f"block {block.header.id} of height {block.header.height} {fault}", block.offset)
        yield block
        previous = block.header


def _read_header(stream: ByteStream, offset: int) -> BlockHeader | None:
    tag = stream.read(1)
    if not tag:
        return None
    try:
        version = BlockVersion(tag[0])
    except ValueError:
        raise MalformedError(f"expected a block, found the unknown version {tag[0]}", offset) from None
    size = _HEADER_SIZES[version]
    raw = read_up_to(stream, size)
    if raw[:1] not in (tag, b""):
        raise MalformedError(f"expected a header of version {version}, found version {raw[0]}", offset + 1)
    if len(raw) < size:
        raise TruncatedError(f"the stream ends within a block's header, of which {len(raw)} bytes are there", offset)
    _, content_size, epoch, slot, height, content_hash, parent = _COMMON.unpack_from(raw)
    return BlockHeader(
        id=blake2b(raw, digest_size=HASH_SIZE).hexdigest(),
        version=version,
        date=BlockDate(epoch, slot),
        height=height,
        parent=parent.hex(),
        content_hash=content_hash.hex(),
        content_size=content_size,
        leader=raw[_COMMON.size : _COMMON.size + 32] if version is BlockVersion.BFT else None,
    )


def _fault_of_first(header: BlockHeader) -> str | None:
    if header.version is not BlockVersion.UNSIGNED or header.height or header.parent != NO_PARENT:
        return "is the first, but is no block 0 (unsigned, of height 0, without a parent)"
    return None


def _fault(previous: BlockHeader, header: BlockHeader) -> str | None:
    if header.parent != previous.id:
        return f"has the parent {header.parent}, the block before it is {previous.id}"
    if header.height != previous.height + 1:
        return f"follows a block of height {previous.height}"
    if header.date <= previous.date:
        return f"has the date {header.date}, the block before it {previous.date}"
    return None
