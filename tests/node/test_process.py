"""One node on its leash."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from loguru import logger

from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.node.config import NodeConfig
from node_fsm.node.limits import NodeSettings
from node_fsm.node.process import Launch, NodeProcess
from tests.node.conftest import KEY
from tests.node.fake_node import BLOCK0_HASH, FakeNode
from tests.node.owner import start_owner
from tests.support.polling import eventually
from tests.support.processes import is_running


@pytest.fixture
def launch(tmp_path: Path, fake_node: FakeNode, node_settings: NodeSettings) -> Launch:
    return Launch(
        executable=str(fake_node.executable),
        config=NodeConfig(
            rest=node_settings.rest,
            p2p=node_settings.p2p,
            public_address=node_settings.public_address,
            storage=tmp_path / "storage",
            fragment_log=tmp_path / "fragments",
            slot_duration=1,
        ),
        config_file=tmp_path / "node-config.yaml",
        block0_file=tmp_path / "block0.bin",
        block0_hash=BLOCK0_HASH,
        stop_grace=5.0,
    )


@pytest_asyncio.fixture
async def process(launch: Launch, fake_node: FakeNode) -> AsyncIterator[NodeProcess]:
    """A node that runs."""
    process = await NodeProcess.start(launch, KEY)
    await eventually(lambda: len(fake_node.starts) == 1)
    yield process
    await process.stop()


async def test_starts_with_block0_and_its_hash(process: NodeProcess, launch: Launch, fake_node: FakeNode) -> None:
    (start,) = fake_node.starts
    assert start["pid"] == process.pid
    assert start["arguments"] == [
        *("--config", str(launch.config_file), "--genesis-block", str(launch.block0_file)),
        *("--genesis-block-hash", BLOCK0_HASH, "--secret", "/dev/stdin"),
    ]
    assert launch.config_file.read_text() == launch.config.to_yaml()
    assert launch.config_file.stat().st_mode & 0o777 == 0o600


async def test_key_is_on_standard_input_alone(process: NodeProcess, fake_node: FakeNode, tmp_path: Path) -> None:
    (start,) = fake_node.starts
    assert start["stdin"] == f"bft:\n  signing_key: {KEY.reveal()}\n"
    assert KEY.reveal() not in f"{start['arguments']} {start['environment']}"
    assert not any(KEY.reveal() in file.read_text() for file in tmp_path.glob("*.*") if file.is_file())


async def test_follower_has_no_key(launch: Launch, fake_node: FakeNode) -> None:
    process = await NodeProcess.start(launch, None)
    await eventually(lambda: len(fake_node.starts) == 1)
    await process.stop()
    assert "--secret" not in fake_node.starts[0]["arguments"]
    assert fake_node.starts[0]["stdin"] == ""


async def test_stop_asks_first_and_waits(process: NodeProcess, fake_node: FakeNode) -> None:
    assert await process.stop() == 0
    assert fake_node.terminated == [process.pid]
    assert not is_running(process.pid)
    assert await process.stop() == await process.wait() == 0


async def test_stop_kills_a_node_that_does_not_end(launch: Launch, fake_node: FakeNode) -> None:
    fake_node.behave(ignores_sigterm=True)
    process = await NodeProcess.start(replace(launch, stop_grace=0.3), None)
    await eventually(lambda: len(fake_node.starts) == 1)
    assert await process.stop() == 128 + signal.SIGKILL
    assert fake_node.terminated == [process.pid]
    assert not is_running(process.pid)


async def test_stop_kills_also_a_leash_that_does_not_act(
    launch: Launch, fake_node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node_fsm.node.process._KILL_TIMEOUT", 0.3)
    process = await NodeProcess.start(replace(launch, stop_grace=0.3), None)
    await eventually(lambda: len(fake_node.starts) == 1)
    os.kill(os.getpgid(process.pid), signal.SIGSTOP)
    assert await process.stop() == 128 + signal.SIGKILL
    assert not is_running(process.pid)


async def test_exit_code_and_last_words(launch: Launch, fake_node: FakeNode) -> None:
    fake_node.behave(exits=8, stderr="".join(f"line {number}\n" for number in range(30)) + " |-> \xff", stdout="\xff\n")
    process = await NodeProcess.start(launch, KEY)
    assert await process.wait() == 8
    assert process.stderr == (*(f"line {number}" for number in range(11, 30)), " |-> �")


async def test_output_is_drained_into_the_log(launch: Launch, fake_node: FakeNode) -> None:
    logged: list[str] = []
    sink = logger.add(lambda message: logged.append(message.record["message"]), format="{message}")
    try:
        fake_node.behave(exits=0, stdout='{"level":"INFO","fields":{"message":"first"}}\n' + "x" * 1_000_000 + "\nlast")
        assert await (await NodeProcess.start(launch, None)).wait() == 0
    finally:
        logger.remove(sink)
    assert logged[0] == "first"
    assert set(logged[1]) == {"x"}
    assert len(logged[1]) < 100_000
    assert logged[2] == "last"


async def test_killed_node_is_told_by_its_signal(process: NodeProcess) -> None:
    os.kill(process.pid, signal.SIGKILL)
    assert await process.wait() == 137


async def test_a_node_whose_leash_is_killed_is_asked_to_end(process: NodeProcess, fake_node: FakeNode) -> None:
    os.kill(os.getpgid(process.pid), signal.SIGKILL)
    assert await process.wait() == 137
    assert not is_running(process.pid)
    assert fake_node.terminated == [process.pid]


@pytest.mark.parametrize("executable", ["/absent/jormungandr", "absent-jormungandr"])
async def test_missing_executable_names_the_setting(launch: Launch, executable: str) -> None:
    with pytest.raises(PermanentError, match=f"{executable} cannot be started.*NODE_FSM_JORM_PATH"):
        await NodeProcess.start(replace(launch, executable=executable), None)


async def test_busy_port_starts_nothing(launch: Launch, fake_node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node_fsm.node.process._KILL_TIMEOUT", 0.0)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", launch.config.p2p.port)
    async with server:
        with pytest.raises(TemporaryError, match="NODE_FSM_NODE_P2P_LISTEN"):
            await NodeProcess.start(replace(launch, stop_grace=0.0), None)
    assert fake_node.starts == []


async def test_start_cancelled_at_any_point_leaves_nothing(launch: Launch, fake_node: FakeNode) -> None:
    for turns in range(0, 60, 3):
        starting = asyncio.create_task(NodeProcess.start(launch, KEY))
        for _ in range(turns):
            await asyncio.sleep(0.001)
        starting.cancel()
        try:
            process = await starting
        except asyncio.CancelledError:
            continue
        await process.stop()
    await eventually(lambda: not any(is_running(start["pid"]) for start in fake_node.starts))
    follower = await NodeProcess.start(launch, None)
    await follower.stop()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_node_ends_with_its_owner(launch: Launch, fake_node: FakeNode, number: signal.Signals) -> None:
    owner, pid = await start_owner(launch)
    await eventually(lambda: len(fake_node.starts) == 1)
    owner.send_signal(number)
    await owner.wait()
    await eventually(lambda: not is_running(pid))
    assert fake_node.terminated == [pid]
