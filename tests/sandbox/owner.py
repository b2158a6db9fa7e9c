"""Owns an embedded Postgres and an S3 server, says so, and waits to be killed: ``python -m tests.sandbox.owner``."""

import asyncio
import json
import sys

from node_fsm_sandbox.servers.postgres import EmbeddedPostgres
from node_fsm_sandbox.servers.s3 import EmbeddedS3
from node_fsm_sandbox.servers.server import EmbeddedServer


async def own(paused: bool) -> None:
    """Start both, print their process ids and directories as a line of JSON, and wait for ever."""
    servers: list[EmbeddedServer] = [EmbeddedPostgres(fast=True), EmbeddedS3()]
    await asyncio.gather(*(server.start() for server in servers))
    if paused:
        await asyncio.gather(*(server.pause() for server in servers))
    print(json.dumps([[server.pid, str(server.directory)] for server in servers]), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(own(paused="paused" in sys.argv))
