"""What ``sandbox-servers`` does: both servers run until a signal."""

import argparse
import asyncio
import shlex
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from node_fsm.core.errors import ServiceError
from node_fsm.storage.named_files import require_new, write_new
from node_fsm_sandbox.servers.postgres import EmbeddedPostgres
from node_fsm_sandbox.servers.s3 import CREDENTIALS, EmbeddedS3
from node_fsm_sandbox.servers.server import EmbeddedServerError

DATABASE = "elections"
BUCKETS = ("keys", "archive")


def serve() -> int:
    """Serve by the command line of this process, and leave nothing behind; the exit code."""
    parser = argparse.ArgumentParser(
        prog="sandbox-servers",
        description="Run Postgres, with an empty database, and S3, with the buckets keys and archive, until Ctrl-C."
        " Then both are gone, with all that was stored in them.",
    )
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="new file for the settings to reach them by, as exports"
    )
    file = parser.parse_args().file
    try:
        require_new(file)
        asyncio.run(_serve(file))
    except (EmbeddedServerError, ServiceError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


async def _serve(file: Path) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        postgres = await stack.enter_async_context(EmbeddedPostgres(fast=True))
        s3 = await stack.enter_async_context(EmbeddedS3())
        url = await postgres.create_database(DATABASE)
        for bucket in BUCKETS:
            await s3.make_bucket(bucket)
        settings = CREDENTIALS | {
            "NODE_FSM_DATABASE_URL": url.replace("+asyncpg", ""),
            "NODE_FSM_S3_ENDPOINT_URL": s3.endpoint_url,
        }
        write_new(file, "".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items()))
        stack.callback(file.unlink, missing_ok=True)
        print(f"Postgres and S3 run; how to reach them is in {file}. Ctrl-C ends both", flush=True)  # noqa: T201
        await _until_stopped(stop, postgres, s3)


async def _until_stopped(stop: asyncio.Event, postgres: EmbeddedPostgres, s3: EmbeddedS3) -> None:
    """Wait for a signal; raises EmbeddedServerError when a server ends by itself."""
    waits = [asyncio.ensure_future(each) for each in (stop.wait(), postgres.watch(), s3.watch())]
    try:
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for ended in done:
            ended.result()
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
