"""The file in which a transaction is kept while it is made, byte for byte jcli's own (bincode)."""

from enum import IntEnum
from struct import Struct, pack
from typing import NamedTuple, Self

from node_fsm.chain.transactions import Input
from node_fsm.core.block_date import BlockDate
from node_fsm_sandbox.formats.crypto import HASH_SIZE

_COUNT = Struct("<Q")
_INPUT = Struct(f"<I{HASH_SIZE}sQ")
_ACCOUNT = 0
_NO_OUTPUTS = _COUNT.pack(0)
_NONE, _SOME = b"\0", b"\1"


class Stage(IntEnum):
    """How far a transaction has come."""

    BALANCING = 0
    FINALIZING = 1
    SEALED = 2
    AUTHED = 3

    def __str__(self) -> str:
        return self.name.lower()


class Staging(NamedTuple):
    """A transaction in the making; certificates as text, witnesses as bytes."""

    stage: Stage = Stage.BALANCING
    inputs: tuple[Input, ...] = ()
    valid_until: BlockDate | None = None
    witnesses: tuple[bytes, ...] = ()
    certificate: str | None = None
    signed_certificate: str | None = None

    def to_bytes(self) -> bytes:
        """The file."""
        return b"".join(
            [
                pack("<I", self.stage),
                _COUNT.pack(len(self.inputs)),
                *[_INPUT.pack(_ACCOUNT, item.account, item.value) for item in self.inputs],
                _NO_OUTPUTS,
                _SOME + pack("<II", *self.valid_until) if self.valid_until else _NONE,
                _COUNT.pack(len(self.witnesses)),
                *map(_counted, self.witnesses),
                *[_NONE if text is None else _SOME + _counted(text.encode()) for text in self._certificates()],
                _NONE,  # the transaction of another machine, which no election has
            ]
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read the file; ValueError when it is something else, or more than an election needs."""
        reader = _Reader(data)
        stage = reader.number(4)
        if stage >= len(Stage):
            raise ValueError(f"invalid value: integer `{stage}`, expected variant index 0 <= i < {len(Stage)}")
        inputs = []
        for _ in range(reader.number(8)):
            kind, account, value = _INPUT.unpack(reader.take(_INPUT.size))
            if kind != _ACCOUNT:
                raise ValueError("the sandbox spends from accounts only")
            inputs.append(Input(account, None, value))
        if reader.take(len(_NO_OUTPUTS)) != _NO_OUTPUTS:
            raise ValueError("the sandbox makes transactions without outputs")
        valid_until = BlockDate(reader.number(4), reader.number(4)) if reader.some() else None
        witnesses = [reader.counted() for _ in range(reader.number(8))]
        certificate, signed = (reader.counted().decode() if reader.some() else None for _ in range(2))
        return cls(Stage(stage), tuple(inputs), valid_until, tuple(witnesses), certificate, signed)

    def _certificates(self) -> tuple[str | None, str | None]:
        return self.certificate, self.signed_certificate


class _Reader:
    """A position in the bytes of a staging file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, size: int) -> bytes:
        """The next *size* bytes."""
        start, self._position = self._position, self._position + size
        if self._position > len(self._data):
            raise ValueError("io error: unexpected end of file")
        return self._data[start : self._position]

    def number(self, size: int) -> int:
        """The next number of *size* bytes."""
        return int.from_bytes(self.take(size), "little")

    def some(self) -> bool:
        """Whether there is a value."""
        return self.take(1) != _NONE

    def counted(self) -> bytes:
        """The next bytes, their number before them."""
        return self.take(self.number(8))


def _counted(data: bytes) -> bytes:
    return _COUNT.pack(len(data)) + data
