"""A node that answers everything alike and keeps what it was asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import h11
from node_fsm_sandbox.servers.server import LOOPBACK

_ANSWER = b"answer"


@dataclass
class Recorder:
    """*seen* are the methods and targets of requests as they were written, *bodies* what came with them."""

    port: int = 0
    seen: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what comes on one connection."""
        http = h11.Connection(h11.SERVER)
        while (event := http.next_event()) is not h11.PAUSED:
            match event:
                case h11.NEED_DATA:
                    http.receive_data(await reader.read(65536))
                case h11.Request():
                    self.seen.append(f"{event.method.decode()} {event.target.decode()}")
                    self.headers.append({name.decode(): value.decode() for name, value in event.headers})
                    self.bodies.append(b"")
                case h11.Data():
                    self.bodies[-1] += bytes(event.data)
                case h11.EndOfMessage():
                    length = ("Content-Length", str(len(_ANSWER)))
                    allowed = ("Access-Control-Allow-Origin", "https://only.example")
                    for answer in (
                        h11.Response(status_code=200, headers=[length, allowed]),
                        h11.Data(data=_ANSWER),
                        h11.EndOfMessage(),
                    ):
                        writer.write(http.send(answer) or b"")
                    await writer.drain()
                    http.start_next_cycle()
                case _:
                    break
        writer.close()


@asynccontextmanager
async def recording() -> AsyncIterator[Recorder]:
    """A recorder at a free port."""
    recorder = Recorder()
    async with await asyncio.start_server(recorder.serve, LOOPBACK, 0) as server:
        recorder.port = server.sockets[0].getsockname()[1]
        yield recorder
        server.close()
