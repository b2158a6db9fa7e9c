"""What followers that wait for block 0 cost the database: bytes and statements a minute, each.

    python -m benchmarks.waiting_followers [FOLLOWERS [MINUTES]]

Whole services on an embedded Postgres, each through a proxy of its own that counts. Beside it, as the raw tool, one
asyncpg connection that runs ``SELECT 1`` as often as a service scans.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
from node_fsm_sandbox.election.binaries import script
from node_fsm_sandbox.election.part import follower, settings_of
from node_fsm_sandbox.election.service_process import ServiceProcess
from node_fsm_sandbox.servers.postgres import EmbeddedPostgres
from node_fsm_sandbox.servers.server import LOOPBACK, free_port

from node_fsm.database.administration import add_node
from node_fsm.database.migrate import upgrade
from node_fsm.database.session import Session

RESCAN_SECONDS = 30
SETTLE_SECONDS = 15
GOAL_BYTES = 10_000

_EXECUTE, _SIMPLE_QUERY = b"E", b"Q"


@dataclass
class Meter:
    """A proxy to the server's port, and what passed it; *statements* counts those that the client had executed."""

    upstream: int
    port: int = field(default_factory=free_port)
    sent: int = 0
    received: int = 0
    statements: int = 0

    def reset(self) -> None:
        self.sent = self.received = self.statements = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Meter"]:
        async with await asyncio.start_server(self._serve, LOOPBACK, self.port):
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection(LOOPBACK, self.upstream)
        ways = [asyncio.create_task(way) for way in (self._up(reader, requests), self._down(answers, writer))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        writer.close()
        requests.close()
        await asyncio.wait(ways)
        for way in ways:
            way.exception()  # that of a connection that was closed: asked for, so that nobody complains of it

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Client to server, message by message; the first has no type byte, nor have those that negotiate TLS."""
        kind = b""
        while True:
            head = await reader.readexactly(4)
            length = int.from_bytes(head)
            body = await reader.readexactly(length - 4)
            self.statements += kind in {_EXECUTE, _SIMPLE_QUERY}
            message = kind + head + body
            self.sent += len(message)
            writer.write(message)
            await writer.drain()
            is_tls_request = not kind and length == 8
            kind = b"" if is_tls_request else await reader.readexactly(1)

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            self.received += len(data)
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def waiting(hostname: str, url: str, meter: Meter, directory: Path) -> AsyncIterator[None]:
    """A whole service that waits."""
    settings = settings_of(follower(hostname), "no-bucket", directory / hostname) | {
        "NODE_FSM_DATABASE_URL": url.replace(f":{meter.upstream}/", f":{meter.port}/"),
        "NODE_FSM_RESCAN_SECONDS": str(RESCAN_SECONDS),
        "NODE_FSM_JCLI_PATH": str(script("sandbox-jcli")),
        "NODE_FSM_JORM_PATH": str(script("sandbox-jormungandr")),
    }
    service = ServiceProcess(hostname, settings, directory / f"{hostname}.log", directory)
    await service.start()
    try:
        yield
        assert await service.state(), service.log.read_text()
    finally:
        await service.close()


async def measure(followers: int, minutes: float) -> None:
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = await stack.enter_async_context(EmbeddedPostgres(fast=True))
        url = await server.create_database("elections")
        await upgrade(url)
        await _prepare(url, followers)
        meters = [
            await stack.enter_async_context(Meter(int(url.rpartition(":")[2].partition("/")[0])).listening())
            for _ in range(followers + 1)
        ]
        for number, meter in enumerate(meters[1:], 1):
            await stack.enter_async_context(waiting(f"follower{number}", url, meter, directory))
        raw = url.replace("+asyncpg", "").replace(f":{meters[0].upstream}/", f":{meters[0].port}/")
        connection = await asyncpg.connect(raw)
        await asyncio.sleep(SETTLE_SECONDS + followers)
        for meter in meters:
            meter.reset()
        for _ in range(round(minutes * 60 / RESCAN_SECONDS)):
            await connection.fetchval("SELECT 1")
            await asyncio.sleep(RESCAN_SECONDS)
        await connection.close()
        _print(meters, minutes)


async def _prepare(url: str, followers: int) -> None:
    """An election that is a day away, and the nodes."""
    session = Session(url)
    for number in range(1, followers + 1):
        await add_node(session, f"follower{number}", None)
    await session.close()
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    start = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    times = [start + timedelta(days=days) for days in range(3)]
    await connection.execute(
        "INSERT INTO election (name, description, voting_start, voting_end, tallying_end, committee_threshold)"
        " VALUES ('next', '', $1, $2, $3, 0)",
        *times,
    )
    await connection.close()


def _print(meters: list[Meter], minutes: float) -> None:
    baseline, *services = [(meter.sent + meter.received) / minutes for meter in meters]
    statements = [meter.statements / minutes for meter in meters]
    print(f"{len(services)} followers wait for block 0, scanning every {RESCAN_SECONDS} s, over {minutes:g} min:")
    print(f"  bytes a minute each: {min(services):,.0f} to {max(services):,.0f} (goal: under {GOAL_BYTES:,})")
    print(f"  statements a minute each: {min(statements[1:]):.1f} to {max(statements[1:]):.1f}")
    print(
        f"  a bare SELECT 1 as often: {baseline:,.0f} bytes; a follower costs {max(services) / baseline:.0f} times that"
    )


if __name__ == "__main__":
    asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 10, float(sys.argv[2]) if len(sys.argv) > 2 else 2))
