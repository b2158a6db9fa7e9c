"""An owner that is killed by SIGKILL leaves no process and no file behind."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from tests.support.polling import HANGING, eventually
from tests.support.processes import is_running


@asynccontextmanager
async def owner(*arguments: str) -> AsyncIterator[tuple[psutil.Process, list[psutil.Process], list[Path]]]:
    """An owner, the processes of its servers with their guards, and the directories."""
    command = [sys.executable, "-m", "tests.sandbox.owner", *arguments]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        servers = json.loads(await asyncio.wait_for(process.stdout.readline(), HANGING))
        itself = psutil.Process(process.pid)
        descendants = itself.children(recursive=True)
        assert {pid for pid, _ in servers} < {descendant.pid for descendant in descendants}
        yield itself, descendants, [Path(directory) for _, directory in servers]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def gone(processes: list[psutil.Process]) -> bool:
    return not any(is_running(process.pid) for process in processes)


@pytest.mark.parametrize("state", ["running", "paused"])
async def test_nothing_outlives_a_killed_owner(state: str) -> None:
    async with owner(state) as (itself, descendants, directories):
        itself.kill()
        await eventually(lambda: gone(descendants))
        await eventually(lambda: not any(directory.exists() for directory in directories))


async def test_guards_are_not_ended_by_a_signal_to_the_whole_group() -> None:
    async with owner() as (itself, descendants, directories):
        for guard in itself.children():
            guard.send_signal(signal.SIGTERM)
            guard.send_signal(signal.SIGINT)
        itself.kill()
        await eventually(lambda: gone(descendants))
        await eventually(lambda: not any(directory.exists() for directory in directories))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
async def test_servers_do_not_outlive_their_guards_and_the_next_owner_removes_their_directories() -> None:
    async with owner() as (itself, descendants, directories):
        for guard in itself.children():
            guard.kill()
        itself.kill()
        await eventually(lambda: gone(descendants))
        assert all(directory.exists() for directory in directories)
    async with owner() as (_, _, others):
        assert not any(directory.exists() for directory in directories), "the next to start clears away"
        async with owner():
            assert all(directory.exists() for directory in others), "and leaves alone what is in use"
