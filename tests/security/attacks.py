"""What strangers send to an HTTP port, for a while; and a probe that asks for the heartbeat meanwhile."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.polling import HANGING

HOST = "127.0.0.1"
GET = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
PROBE = Path(__file__).with_name("probe.py")

Attack = Callable[[int], Awaitable[None]]
"""Given a port, goes on until it is cancelled."""


@dataclass(frozen=True)
class Heartbeats:
    """How long the heartbeat took each time, in seconds, and what went wrong instead."""

    seconds: list[float]
    faults: list[str]

    def figures(self) -> str:
        """Median, 99th percentile and maximum in milliseconds."""
        ordered = sorted(self.seconds)
        at = [ordered[int(share * (len(ordered) - 1))] * 1000 for share in (0.5, 0.99, 1)]
        return "{} heartbeats: median {:.1f} ms, 99 % {:.1f} ms, longest {:.1f} ms".format(len(ordered), *at)


async def heartbeats_under(launched: Attack, port: int, seconds: float) -> Heartbeats:
    """Ask for the heartbeat again and again from another process, while the attack goes on for so many seconds."""
    probe = await asyncio.create_subprocess_exec(
        *(sys.executable, "-IS", str(PROBE), str(port)), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await launched(port)
        async with asyncio.timeout(HANGING):
            printed, _ = await probe.communicate(b"enough")
    finally:
        if probe.returncode is None:
            probe.kill()
            await probe.wait()
    return Heartbeats(**json.loads(printed))


@asynccontextmanager
async def connection(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that is closed afterwards, whatever the other side has done with it."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _by(clients: int, client: Callable[[int], Awaitable[None]], port: int) -> None:
    """So many clients at once, each of which comes again when it is thrown out."""

    async def again() -> None:
        while True:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await client(port)
            await asyncio.sleep(0.01)

    await asyncio.gather(*(again() for _ in range(clients)))


async def requests_200_a_second(port: int) -> None:
    """Ten clients that keep their connections, 20 requests each and second."""
    paths = (b"/state", b"/metrics", b"/heartbeat", b"/", b"/health/ready")

    async def client(port: int) -> None:
        async with connection(port) as (reader, writer):
            due = time.monotonic()
            while True:
                for path in paths:
                    writer.write(GET % path)
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = head.lower().partition(b"content-length:")[2].split()[0]
                    await reader.readexactly(int(length))
                    due += 1 / 20
                    await asyncio.sleep(max(0.0, due - time.monotonic()))

    await _by(10, client, port)


def sending(head: bytes, piece: bytes, clients: int, pause: float = 0.0) -> Attack:
    """Clients that send *head*, and then *piece* without end, and read nothing."""

    async def client(port: int) -> None:
        async with connection(port) as (reader, writer):
            writer.write(head)
            while not reader.at_eof() and not writer.transport.is_closing():
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)

    return lambda port: _by(clients, client, port)


def once(sent: bytes, clients: int) -> Attack:
    """Clients that send something, and wait for what comes of it."""

    async def client(port: int) -> None:
        async with connection(port) as (reader, writer):
            writer.write(sent)
            await writer.drain()
            await reader.read()

    return lambda port: _by(clients, client, port)


async def connections_that_come_and_go(port: int) -> None:
    """Nothing is sent on any of them."""

    async def client(port: int) -> None:
        async with connection(port):
            pass

    await _by(20, client, port)


_HOST = b"Host: localhost\r\n"
_BEGIN = b"GET /heartbeat HTTP/1.1\r\n" + _HOST
_POST = b"POST /heartbeat HTTP/1.1\r\n" + _HOST

ATTACKS: dict[str, Attack] = {
    "200 requests a second": requests_200_a_second,
    "idle connections": sending(b"", b"", 200, pause=1),
    "a byte now and then": sending(_BEGIN + b"X-Slow: ", b".", 200, pause=0.2),
    "a header without end": sending(_BEGIN + b"X-Long: ", b"x" * 65536, 20),
    "headers without end": sending(_BEGIN, b"X: y\r\n" * 10_000, 20),
    "an address without end": sending(b"GET /", b"x" * 65536, 20),
    "a method without end": sending(b"", b"G" * 65536, 20),
    "pipelining": sending(b"", (GET % b"/metrics") * 300, 20),
    "pipelining pages": sending(b"", (GET % b"/") * 300, 20),
    "a body without end": sending(_POST + b"Content-Length: 100000000000\r\n\r\n", b"x" * 65536, 20),
    "chunks without end": sending(_POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 10_000, 20),
    "a chunk size without end": sending(_POST + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 65536, 20),
    "two lengths": once(
        _POST + b"Content-Length: 5\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 20
    ),
    "TLS": once(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(512), 20),
    "HTTP/2": once(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(512), 20),
    "an upgrade": once(_BEGIN + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n", 20),
    "bytes": once(bytes(range(256)) * 100 + b"\r\n\r\n", 20),
    "streams that nobody reads": sending(GET % b"/page/events", b"", 60, pause=1),
    "connections that come and go": connections_that_come_and_go,
}
