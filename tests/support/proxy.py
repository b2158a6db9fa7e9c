"""A TCP proxy whose network a test can break and mend."""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from node_fsm_sandbox.servers.server import LOOPBACK, free_port

from tests.support.polling import HANGING

_CHUNK = 64 * 2**10


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
        self._connections: set[asyncio.Task[Any]] = set()
        self._flowing = asyncio.Event()

    def cut(self) -> None:
        """Reset the connections there are; new ones are served."""
        self._do(self._reset_all())

    def refuse(self) -> None:
        """Reset the connections there are and refuse new ones, as if the server were down."""
        self._do(self._unlisten())

    def blackhole(self) -> None:
        """Pass nothing on, in either direction, and tell nobody; new connections are accepted and never answered."""
        self._do(self._hold())

    def heal(self) -> None:
        """Undo refuse() and blackhole(); what was held back is delivered, as after a short partition."""
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
        self._flowing.set()
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, self.host, self.port)

    async def _unlisten(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        await self._reset_all()

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
        self._connections.add(task)
        ends = [writer]
        try:
            await self._flowing.wait()
            far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self._upstream_port)
            ends.append(far_writer)
            await asyncio.gather(self._pass_on(reader, far_writer), self._pass_on(far_reader, writer))
            for end in ends:
                end.close()
        except OSError:
            pass  # one end broke off or could not be reached; the other end learns it next
        finally:
            for end in ends:
                _reset(end)
            self._connections.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK):
            await self._flowing.wait()
            writer.write(chunk)
            await writer.drain()
        await self._flowing.wait()
        writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Break a connection off with RST, unless it has been closed in order."""
    if not writer.transport.is_closing():
        without_lingering = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, without_lingering)
        writer.transport.abort()
