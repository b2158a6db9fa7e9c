"""Nothing keeps a running service from answering: a collection of garbage stops all of its threads."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

from node_fsm_sandbox.servers.server import free_port

from node_fsm.service import run_service
from node_fsm.settings.model import Settings, load_settings

LIVELY = 0.25
"""Which part of all that was loaded the collector may have to look at while a service runs."""


def test_the_collector_leaves_alone_what_was_loaded_to_begin_with(tmp_path: Path) -> None:
    environ = {
        "NODE_FSM_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "NODE_FSM_ROLE": "node",
        "NODE_FSM_NODE_P2P_PUBLIC_ADDRESS": "/ip4/127.0.0.1/tcp/1",
        "NODE_FSM_STORAGE_DIR": str(tmp_path),
        "NODE_FSM_HOST": "127.0.0.1",
        "NODE_FSM_PORT": str(free_port()),
    }
    command = (sys.executable, "-m", __name__)
    done = subprocess.run(command, env=os.environ | environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    looked_at, loaded = map(int, done.stdout.split())
    assert looked_at < LIVELY * loaded


async def _live() -> None:
    """Run a service that is asked to stop after its first moment, and say what its collector looked at."""
    asyncio.get_running_loop().call_later(0.5, os.kill, os.getpid(), signal.SIGTERM)
    await run_service(load_settings(os.environ, Settings))
    print(len(gc.get_objects()), gc.get_freeze_count())


if __name__ == "__main__":
    asyncio.run(_live())
