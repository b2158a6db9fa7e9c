"""Ports and storage must be free before a node starts."""

import fcntl
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from node_fsm_sandbox.servers.server import free_port

from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.core.listen import Listen
from node_fsm.node.config import NodeConfig
from node_fsm.node.preflight import wait_until_free
from tests.support.polling import HANGING


@pytest.fixture
def config(tmp_path: Path) -> NodeConfig:
    return NodeConfig(
        rest=Listen("127.0.0.1", free_port()),
        p2p=Listen("127.0.0.1", free_port()),
        public_address="/ip4/127.0.0.1/tcp/1",
        storage=tmp_path / "storage",
        fragment_log=tmp_path / "fragments",
        slot_duration=1,
    )


@contextmanager
def listening(port: int) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", port)):
        yield


@contextmanager
def locked(storage: Path) -> Iterator[None]:
    (storage / "volatile").mkdir(parents=True, exist_ok=True)
    with (storage / "volatile" / "db").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


async def test_passes_when_all_is_free_and_takes_nothing(config: NodeConfig) -> None:
    with locked(config.storage):
        pass
    await wait_until_free(config, timeout=0)
    with listening(config.rest.port), listening(config.p2p.port), locked(config.storage):
        pass


async def test_busy_ports_name_their_setting(config: NodeConfig) -> None:
    with listening(config.rest.port), pytest.raises(TemporaryError, match="NODE_FSM_NODE_REST_LISTEN") as failure:
        await wait_until_free(config, timeout=0)
    assert failure.value.reason == "PortBusy"
    with listening(config.p2p.port), pytest.raises(TemporaryError, match="NODE_FSM_NODE_P2P_LISTEN"):
        await wait_until_free(config, timeout=0)


async def test_locked_storage_names_its_directory(config: NodeConfig) -> None:
    with locked(config.storage), pytest.raises(TemporaryError, match=str(config.storage)) as failure:
        await wait_until_free(config, timeout=0)
    assert failure.value.reason == "StorageLocked"


async def test_waits_for_a_node_on_its_way_out(config: NodeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = []
    with socket.create_server(("127.0.0.1", config.p2p.port)) as server:

        async def sleep(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 3:
                server.close()

        monkeypatch.setattr("node_fsm.node.preflight.asyncio.sleep", sleep)
        await wait_until_free(config, timeout=HANGING)
    assert len(waits) == 3


async def test_connections_that_linger_do_not_count(config: NodeConfig) -> None:
    with socket.create_server(("127.0.0.1", config.rest.port)) as server:
        client = socket.create_connection(("127.0.0.1", config.rest.port))
        served, _ = server.accept()
        served.close()  # the server closes first: its side lingers in TIME_WAIT
        client.close()
    await wait_until_free(config, timeout=0)


async def test_an_address_of_another_machine_is_for_a_person_to_mend(tmp_path: Path) -> None:
    config = NodeConfig(
        rest=Listen("192.0.2.1", 8443),
        p2p=Listen("127.0.0.1", free_port()),
        public_address="/ip4/127.0.0.1/tcp/1",
        storage=tmp_path,
        fragment_log=tmp_path,
        slot_duration=1,
    )
    with pytest.raises(PermanentError, match=r"192\.0\.2\.1:8443.*NODE_FSM_NODE_REST_LISTEN"):
        await wait_until_free(config, timeout=HANGING)
