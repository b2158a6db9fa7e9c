"""A TCP proxy whose network a test can break and mend."""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from node_fsm_sandbox.servers.server import LOOPBACK, free_port

from tests.support.polling import HANGING

_CHUNK = 64 * 2**10
_REMEMBERED = 4 * 2**10


class FaultyProxy:
    """Passes connections to its port on to another one of the loopback interface, until told otherwise.

    It runs in a thread of its own, so that a client which blocks the test's thread or event loop still gets through;
    its methods take effect before they return. *host* is the address of this machine on which it listens.
    """

    def __init__(self, upstream_port: int, host: str = LOOPBACK) -> None:
        self.host = host
        self.port = free_port()
        self._upstream_port = upstream_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faulty-proxy")
        self._listener: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[Any], _Connection] = {}
        self._flowing = asyncio.Event()
        self._fatal: bytes | None = None
        self._lost = 0

    def cut(self) -> None:
        """Reset the connections there are; new ones are served."""
        self._do(self._reset_all())

    def refuse(self) -> None:
        """Reset the connections there are and refuse new ones, as if the server were down."""
        self._do(self._unlisten())

    def blackhole(self) -> None:
        """Pass nothing on, in either direction, and tell nobody; new connections are accepted and never answered."""
        self._do(self._hold())

    def lose_answers_to(self, word: bytes) -> None:
        """Pass on what has *word* in it, and break the connection off when the answer comes."""
        self._do(self._lose(word))

    @property
    def answers_lost(self) -> int:
        """How many answers were lost."""
        return self._lost

    def silence(self, word: bytes) -> int:
        """From now on pass nothing on of the connections whose client has said *word*, and tell nobody; how many."""
        silenced = [
            connection for connection in self._connections.values() if word in connection.said and not connection.silent
        ]
        for connection in silenced:
            connection.silent = True
        return len(silenced)

    def heal(self) -> None:
        """Undo all but silence(); what was held back is delivered, as after a short partition."""
        self._do(self._listen())

    def __enter__(self) -> Self:
        self._thread.start()
        self.heal()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(HANGING)
        self._loop.close()

    def _do(self, action: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(action, self._loop).result(HANGING)

    async def _listen(self) -> None:
        self._fatal = None
        self._flowing.set()
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, self.host, self.port)

    async def _unlisten(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        await self._reset_all()

    async def _lose(self, word: bytes) -> None:
        self._fatal = word

    async def _hold(self) -> None:
        self._flowing.clear()

    async def _reset_all(self) -> None:
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connection = self._connections[task] = _Connection()
        ends = [writer]
        try:
            await self._flowing.wait()
            far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self._upstream_port)
            ends.append(far_writer)
            await asyncio.gather(
                self._ask(reader, far_writer, connection), self._answer(far_reader, writer, connection)
            )
            for end in ends:
                end.close()
        except (OSError, asyncio.CancelledError):
            pass  # one end broke off or could not be reached, or the test had it so; the other end learns it next
        finally:
            for end in ends:
                _reset(end)
            del self._connections[task]

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: "_Connection") -> None:
        """Pass on what the client says."""
        while chunk := await reader.read(_CHUNK):
            await self._flowing.wait()
            connection.said = (connection.said + chunk)[-_REMEMBERED:]
            if connection.silent:
                continue
            connection.lost |= self._fatal is not None and self._fatal in chunk
            writer.write(chunk)
            await writer.drain()
        await self._end(writer)

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: "_Connection"
    ) -> None:
        """Pass on what the server says."""
        while chunk := await reader.read(_CHUNK):
            await self._flowing.wait()
            if connection.lost:
                self._lost += 1
                raise ConnectionResetError
            if not connection.silent:
                writer.write(chunk)
                await writer.drain()
        await self._end(writer)

    async def _end(self, writer: asyncio.StreamWriter) -> None:
        await self._flowing.wait()
        writer.write_eof()


@dataclass(slots=True)
class _Connection:
    """One connection of a client: what it *said* last, and whether it is *silent* or its next answer *lost*."""

    said: bytes = b""
    silent: bool = False
    lost: bool = False


def _reset(writer: asyncio.StreamWriter) -> None:
    """Break a connection off with RST, unless it has been closed in order."""
    if not writer.transport.is_closing():
        without_lingering = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, without_lingering)
        writer.transport.abort()
