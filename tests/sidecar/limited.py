"""A sidecar in a process with 256 descriptors; prints its port, ends with its standard input.

``/files`` answers how many of a hundred files the process can open beside its connections.
"""

import asyncio
import os
import resource
import sys
from contextlib import ExitStack

from node_fsm.core.phases import Role
from node_fsm.metrics import Metrics
from node_fsm.sidecar import server
from node_fsm.sidecar.app import create_app
from tests.sidecar.states import Source

DESCRIPTORS = 256
FILES = 100


async def main() -> None:
    """Serve."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    registry = Metrics(Role.LEADER0).registry
    app = create_app(Source(), registry, tick_limit=60, expose_state=False, monotonic=lambda: 0.0)

    @app.get("/files")
    async def files() -> int:
        with ExitStack() as opened:
            for _ in range(FILES):
                opened.enter_context(open(os.devnull))  # noqa: PTH123 - what is tested is that it opens
        return FILES

    server.ANSWER_SECONDS = 3600  # so that nothing helps but that the oldest make place
    sidecar = server.SidecarServer(app, "127.0.0.1", 0)
    print(sidecar.port, flush=True)
    serving = asyncio.create_task(sidecar.serve())
    await asyncio.to_thread(sys.stdin.read)
    await sidecar.stop(5)
    await serving


if __name__ == "__main__":
    asyncio.run(main())
