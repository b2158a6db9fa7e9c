"""What would keep a running service from answering is done before it begins."""

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from node_fsm_sandbox.servers.server import free_port

from node_fsm.service import run_service
from node_fsm.settings.model import Settings, load_settings

LIVELY = 0.25
"""Which part of all that was loaded the collector may have to look at while a service runs."""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a service has that begins, and whose database is away."""
    environ = {
        "NODE_FSM_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "NODE_FSM_ROLE": "node",
        "NODE_FSM_NODE_P2P_PUBLIC_ADDRESS": "/ip4/127.0.0.1/tcp/1",
        "NODE_FSM_STORAGE_DIR": str(tmp_path_factory.mktemp("storage")),
        "NODE_FSM_HOST": "127.0.0.1",
        "NODE_FSM_PORT": str(free_port()),
    }
    root, command = Path(__file__).parents[2], (sys.executable, "-m", __name__)
    done = subprocess.run(
        command, env=os.environ | environ, cwd=root, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_collector_leaves_alone_what_was_loaded_to_begin_with(seen: Any) -> None:
    """A full collection stops all threads."""
    assert seen["looked at"] < LIVELY * seen["loaded"]


def test_all_threads_are_there_before_memory_may_be_short(seen: Any) -> None:
    """Whoever begins a thread waits for it, for ever if there is no memory for it: that would be the event loop."""
    assert seen["threads"] == {"disk": 4, "long": 2, "s3": 8, "names": 4}


async def _live() -> None:
    """Run a service that is asked to stop after its first moment, and print what it had."""

    def look() -> None:
        threads = Counter(thread.name.rpartition("_")[0] for thread in threading.enumerate() if "_" in thread.name)
        print(json.dumps({"looked at": len(gc.get_objects()), "loaded": gc.get_freeze_count(), "threads": threads}))
        os.kill(os.getpid(), signal.SIGTERM)

    asyncio.get_running_loop().call_later(0.5, look)
    await run_service(load_settings(os.environ, Settings))


if __name__ == "__main__":
    asyncio.run(_live())
