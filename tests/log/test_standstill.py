"""A service whose log nobody reads: the event loop, the heartbeat and the node go on."""

import asyncio
import json
import os
import time
from pathlib import Path

import httpx
import pytest
from loguru import logger
from node_fsm_sandbox.servers.server import free_port

from node_fsm.core.listen import Listen
from node_fsm.core.phases import Role
from node_fsm.log import configure_logging, flush_log, lines_dropped
from node_fsm.metrics import Metrics
from node_fsm.node.config import NodeConfig
from node_fsm.node.process import Launch, NodeProcess
from node_fsm.sidecar.app import create_app
from node_fsm.sidecar.server import SidecarServer
from tests.node.fake_node import BLOCK0_HASH, FakeNode
from tests.sidecar.states import Source
from tests.support.polling import HANGING

OUTPUT = 20_000
"""Lines of a kilobyte that the node prints: more than wait for the log."""


def launch(directory: Path) -> Launch:
    """A node that prints a lot and ends."""
    node = FakeNode(directory / "bin")
    node.behave(exits=0, stdout=("x" * 1000 + "\n") * OUTPUT)
    rest, p2p = (Listen("127.0.0.1", free_port()) for _ in range(2))
    return Launch(
        executable=str(node.executable),
        config=NodeConfig(
            rest, p2p, f"/ip4/127.0.0.1/tcp/{p2p.port}", directory / "storage", directory / "fragments", 1
        ),
        config_file=directory / "node.yaml",
        block0_file=directory / "block0.bin",
        block0_hash=BLOCK0_HASH,
        stop_grace=5.0,
    )


@pytest.mark.usefixtures("restored_logging")
async def test_a_log_that_nobody_reads_stops_nothing(tmp_path: Path) -> None:
    reader, end = os.pipe()
    metrics = Metrics(Role.LEADER0)
    app = create_app(Source(), metrics.registry, tick_limit=1e9, expose_state=False, monotonic=time.monotonic)
    server = SidecarServer(app, "127.0.0.1", 0)
    with os.fdopen(reader, "rb", buffering=0) as log, os.fdopen(end, "w") as stream:
        configure_logging("INFO", "json", stream)
        before = lines_dropped()
        serving = asyncio.create_task(server.serve())
        async with asyncio.timeout(HANGING), httpx.AsyncClient(trust_env=False) as client:
            node = await NodeProcess.start(launch(tmp_path), None)
            assert await node.wait() == 0  # it has written all that it had to say
            assert (await client.get(f"http://127.0.0.1:{server.port}/heartbeat")).status_code == 200
            dropped = lines_dropped() - before
            assert 0 < dropped < OUTPUT
            assert metrics.registry.get_sample_value("node_fsm_log_lines_dropped_total") == dropped + before
            await server.stop(1)
            await serving
        reading = asyncio.create_task(asyncio.to_thread(log.readlines))
        assert await asyncio.to_thread(flush_log, HANGING)
        logger.info("here again")
        assert await asyncio.to_thread(flush_log, HANGING)
        stream.close()
        records = [json.loads(line) for line in await reading]
    told = [int(record["message"].split()[0]) for record in records if "were dropped" in record["message"]]
    assert sum(told) == lines_dropped() - before
    assert records[-1]["message"] == "here again"
