"""How sandbox nodes talk: frames over TCP, each a length, a kind and a payload.

A connection begins with HELLO from both ends when they are to be peers of each other; who only asks for blocks does
not say it. All else may be sent at any time: nothing waits for an answer but who asked for it.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from enum import IntEnum
from struct import Struct
from typing import Any, NamedTuple

from node_fsm_sandbox.node.address import Address

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 15.0

_HEAD = Struct(">IB")
_MAX_PAYLOAD = 2**28
_ID_SIZE = 32


class Kind(IntEnum):
    """What a frame is."""

    HELLO = 1
    """Node id, block 0 and address of the sender (JSON)."""
    GOSSIP = 2
    """The peers that the sender knows (JSON)."""
    ASK_PEERS = 3
    ASK_TIP = 4
    ANNOUNCE = 5
    """A block id: the sender's tip."""
    FRAGMENT = 6
    ASK_BLOCK = 7
    """A block id."""
    ASK_BLOCKS = 8
    """Block ids, newest first: the blocks wanted follow the first of them that the receiver has on its chain."""
    BLOCK = 9
    END = 10
    """No more blocks."""


class ProtocolError(ConnectionError):
    """The other end does not keep to the protocol."""


class Frame(NamedTuple):
    """What came."""

    kind: Kind
    payload: bytes

    def json(self) -> Any:
        """The payload of HELLO and GOSSIP; ProtocolError."""
        try:
            return json.loads(self.payload)
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"{self.kind.name} without JSON") from error

    def ids(self) -> list[str]:
        """The payload where it is block ids; ProtocolError."""
        if not self.payload or len(self.payload) % _ID_SIZE:
            raise ProtocolError(f"{self.kind.name} without block ids")
        return [self.payload[start : start + _ID_SIZE].hex() for start in range(0, len(self.payload), _ID_SIZE)]


class Connection:
    """One end of a connection; every method that waits raises OSError when it breaks off."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def receive(self) -> Frame:
        """The next frame; ConnectionError at the end, ProtocolError when it is none."""
        try:
            size, kind = _HEAD.unpack(await self._reader.readexactly(_HEAD.size))
            if size > _MAX_PAYLOAD:
                raise ProtocolError(f"a frame of {size} bytes")
            return Frame(Kind(kind), await self._reader.readexactly(size))
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("the connection has ended") from error
        except ValueError as error:
            raise ProtocolError(str(error)) from error

    def send(self, kind: Kind, payload: bytes = b"") -> None:
        """Send a frame, some time soon; on a broken connection it is lost."""
        if not self._writer.is_closing():
            self._writer.write(_HEAD.pack(len(payload), kind) + payload)

    def send_json(self, kind: Kind, value: Any) -> None:
        """Send a frame of JSON."""
        self.send(kind, json.dumps(value).encode())

    def send_ids(self, kind: Kind, ids: Iterable[str]) -> None:
        """Send a frame of block ids."""
        self.send(kind, bytes.fromhex("".join(ids)))

    async def drain(self) -> None:
        """Wait until the other end has taken most of what was sent."""
        await self._writer.drain()

    def close(self) -> None:
        """Close it."""
        self._writer.close()

    async def ask(self, kind: Kind, wanted: Kind, payload: bytes = b"") -> Frame:
        """Send a frame and wait for one of kind *wanted*; OSError, also when it takes too long."""
        self.send(kind, payload)
        async with asyncio.timeout(ANSWER_SECONDS):
            while (frame := await self.receive()).kind is not wanted:
                if frame.kind is Kind.END:
                    raise ProtocolError(f"no {wanted.name} for {kind.name}")
            return frame


@asynccontextmanager
async def connected(address: Address) -> AsyncIterator[Connection]:
    """A connection to *address*; OSError when there is none soon."""
    async with asyncio.timeout(CONNECT_SECONDS):
        reader, writer = await asyncio.open_connection(address.host, address.port)
    connection = Connection(reader, writer)
    try:
        yield connection
    finally:
        connection.close()
