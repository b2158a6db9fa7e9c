"""A fake node and what it is started with."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from node_fsm.core.chain_time import ChainClock
from node_fsm.core.secret import Secret
from node_fsm.node_config import Listen
from node_fsm.node_status import NodeSettings
from node_fsm.ports import ChainRun
from node_fsm.sandbox.server import free_port
from node_fsm.workspace import ChainDirectory
from tests.node.fake_node import BLOCK0_HASH, FakeNode

KEY = Secret("ed25519_sk1hidden")


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
        rest=Listen("127.0.0.1", free_port(), "NODE_FSM_NODE_REST_LISTEN"),
        p2p=Listen("127.0.0.1", p2p_port, "NODE_FSM_NODE_P2P_LISTEN"),
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
