"""A fake node and what it is started with."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from node_fsm_sandbox.servers.server import free_port

from node_fsm.core.chain_time import ChainClock
from node_fsm.core.listen import Listen
from node_fsm.core.secret import Secret
from node_fsm.node.limits import NodeLimits, NodeSettings
from node_fsm.node.supervisor import NodeSupervisor
from node_fsm.ports import ChainRun
from node_fsm.storage.workspace import ChainDirectory
from tests.node.fake_node import BLOCK0_HASH, FakeNode

KEY = Secret("ed25519_sk1hidden")
OTHERS = ("/ip4/127.0.0.1/tcp/1",)
QUICK = NodeLimits(
    first_delay=0.05,
    longest_delay=0.2,
    repair_delay=0.3,
    silent=30,
    stalled=30,
    stalled_slots=0,
    start_poll=0.02,
    shortest_poll=0.02,
    longest_poll=0.02,
)


async def leader_key() -> Secret | None:
    return KEY


@pytest.fixture
def fake_node(tmp_path: Path) -> FakeNode:
    return FakeNode(tmp_path / "bin")


@pytest.fixture
def node_settings(fake_node: FakeNode) -> NodeSettings:
    p2p_port = free_port()
    return NodeSettings(
        executable=str(fake_node.executable),
        rest=Listen("127.0.0.1", free_port()),
        p2p=Listen("127.0.0.1", p2p_port),
        public_address=f"/ip4/127.0.0.1/tcp/{p2p_port}",
        stop_grace=5.0,
    )


@pytest.fixture
def chain_run(tmp_path: Path) -> ChainRun:
    """A one-node chain that began long ago."""
    directory = ChainDirectory(tmp_path / "chain")
    directory.storage.mkdir(parents=True)
    return ChainRun(
        directory=directory,
        block0_hash=BLOCK0_HASH,
        clock=ChainClock(datetime(2026, 1, 1, tzinfo=UTC), slot_duration=1, slots_per_epoch=10),
        peers=(),
        seed=True,
        secret=leader_key,
        held=False,
    )


@asynccontextmanager
async def supervisors() -> AsyncIterator[Callable[[NodeSettings, NodeLimits], NodeSupervisor]]:
    """Makes supervisors that run until it is left."""
    tasks = []

    def make(settings: NodeSettings, limits: NodeLimits) -> NodeSupervisor:
        supervisor = NodeSupervisor(settings, on_change=lambda: None, limits=limits)
        tasks.append(asyncio.create_task(supervisor.run()))
        return supervisor

    yield make
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest_asyncio.fixture
async def supervise(
    node_settings: NodeSettings,
) -> AsyncIterator[Callable[[NodeLimits], Awaitable[NodeSupervisor]]]:
    """Makes a supervisor with these limits, and lets it run until the test ends."""
    async with supervisors() as make:

        async def with_limits(limits: NodeLimits) -> NodeSupervisor:
            return make(node_settings, limits)

        yield with_limits


@pytest_asyncio.fixture
async def supervisor(supervise: Callable[[NodeLimits], Awaitable[NodeSupervisor]]) -> NodeSupervisor:
    return await supervise(QUICK)
