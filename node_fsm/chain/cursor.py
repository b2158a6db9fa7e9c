"""Reading big-endian values off a byte string, one after the other."""

from struct import Struct
from typing import Any

from node_fsm.chain.errors import MalformedError
from node_fsm.core.block_date import BlockDate

_U16 = Struct(">H")
_U32 = Struct(">I")
_U64 = Struct(">Q")
_DATE = Struct(">II")


class Cursor:
    """A position in *data* that moves on with every value read.

    Every method names *what* it expects, for the MalformedError that tells the position in the stream when the
    data ends too early; *base* is where the data begins in that stream.
    """

    __slots__ = ("_base", "_data", "position")

    def __init__(self, data: bytes, position: int = 0, base: int = 0) -> None:
        self._data = data
        self._base = base
        self.position = position

    def take(self, size: int, what: str) -> bytes:
        """The next *size* bytes."""
        start = self._advance(size, what)
        return self._data[start : self.position]

    def unpack(self, layout: Struct, what: str) -> tuple[Any, ...]:
        """The next values in *layout*."""
        return layout.unpack_from(self._data, self._advance(layout.size, what))

    def u8(self, what: str) -> int:
        return self._data[self._advance(1, what)]

    def u16(self, what: str) -> int:
        value: int = self.unpack(_U16, what)[0]
        return value

    def u32(self, what: str) -> int:
        value: int = self.unpack(_U32, what)[0]
        return value

    def u64(self, what: str) -> int:
        value: int = self.unpack(_U64, what)[0]
        return value

    def date(self, what: str) -> BlockDate:
        """A block date: epoch and slot."""
        return BlockDate(*self.unpack(_DATE, what))

    def part(self, size: int, what: str) -> "Cursor":
        """A cursor of its own over the next *size* bytes."""
        base = self._base + self.position
        return Cursor(self.take(size, what), base=base)

    def since(self, start: int) -> bytes:
        """All bytes from position *start* to here."""
        return self._data[start : self.position]

    def expect_end(self, what: str) -> None:
        """Nothing may be left."""
        if left := len(self._data) - self.position:
            raise self.malformed(f"expected the end of {what}, {left} bytes are left")

    def malformed(self, message: str) -> MalformedError:
        """The error that *message* is the case here."""
        return MalformedError(message, self._base + self.position)

    def _advance(self, size: int, what: str) -> int:
        start = self.position
        end = start + size
        if end > len(self._data):
            raise self.malformed(f"expected {what} ({size} bytes), {len(self._data) - start} bytes are left")
        self.position = end
        return start
