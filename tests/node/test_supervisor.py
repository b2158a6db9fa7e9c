"""The supervisor keeps the required node running and says how it is."""

import asyncio
import errno
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import pytest

from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.core.secret import Secret
from node_fsm.node.limits import NodeLimits, NodeSettings
from node_fsm.node.rest import RECORDS
from node_fsm.node.supervisor import NodeSupervisor
from node_fsm.ports import ChainRun, ProcessPhase
from node_fsm.storage.workspace import ChainDirectory
from tests.node.conftest import KEY, OTHERS, QUICK
from tests.node.fake_node import BLOCK0_HASH, FakeNode
from tests.support.polling import HANGING, eventually
from tests.support.processes import is_running


@asynccontextmanager
async def running(supervisor: NodeSupervisor) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(supervisor.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@dataclass
class SetClock:
    """Its wall clock stands until it is set."""

    time: datetime

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


async def started(supervisor: NodeSupervisor, starts: int) -> int:
    """Wait until a node runs that is the supervisor's *starts*-th; its pid."""
    await eventually(lambda: supervisor.state.running and supervisor.state.starts == starts)
    assert supervisor.state.pid
    return supervisor.state.pid


async def test_runs_what_is_required(supervisor: NodeSupervisor, chain_run: ChainRun, fake_node: FakeNode) -> None:
    assert supervisor.state.phase is ProcessPhase.STOPPED
    supervisor.require(chain_run)
    await supervisor.ready(HANGING)
    state = supervisor.state
    assert state.running
    assert state.block0_hash == BLOCK0_HASH
    assert (state.height, state.tip, str(state.tip_date)) == (1, f"{1:064x}", "0.1")
    assert (state.peers_connected, state.version, state.starts) == (2, "jormungandr 0.13.0", 1)
    assert state.pid == fake_node.starts[0]["pid"]
    assert state.problem is None
    assert (await supervisor.api.stats()).height == 1


async def test_a_node_is_restarted_for_what_it_keeps_to_itself(supervisor: NodeSupervisor, chain_run: ChainRun) -> None:
    supervisor.restart("none runs yet")
    supervisor.require(chain_run)
    first = await started(supervisor, 1)
    supervisor.restart("it keeps 3 votes to itself")
    second = await started(supervisor, 2)
    assert not is_running(first)
    assert second != first
    assert supervisor.state.restarts == 0, "nothing was wrong with it"


async def test_requiring_the_same_again_changes_nothing(
    supervisor: NodeSupervisor, chain_run: ChainRun, fake_node: FakeNode
) -> None:
    supervisor.require(chain_run)
    await supervisor.ready(HANGING)
    supervisor.require(replace(chain_run, peers=OTHERS, seed=False))
    supervisor.require(chain_run)
    await supervisor.ready(0.1)
    assert len(fake_node.starts) == 1


async def test_every_change_is_told(node_settings: NodeSettings, chain_run: ChainRun, fake_node: FakeNode) -> None:
    heights: list[int | None] = []

    def changed() -> None:
        heights.append(watched.state.height)

    watched = NodeSupervisor(node_settings, changed, limits=QUICK)
    async with running(watched):
        watched.require(chain_run)
        await watched.ready(HANGING)
        fake_node.behave(height=2)
        await eventually(lambda: 2 in heights)
        told = len(heights)
        for _ in range(10):
            await watched.api.stats()
        assert len(heights) == told
        await watched.stop()
    assert heights[-1] is None


async def test_stop_leaves_nothing(supervisor: NodeSupervisor, chain_run: ChainRun, fake_node: FakeNode) -> None:
    supervisor.require(chain_run)
    pid = await started(supervisor, 1)
    await supervisor.stop()
    assert not is_running(pid)
    assert fake_node.terminated == [pid]
    assert (supervisor.state.phase, supervisor.state.pid, supervisor.state.starts) == (ProcessPhase.STOPPED, None, 1)
    await supervisor.stop()
    supervisor.require(chain_run)
    await supervisor.ready(HANGING)
    assert (supervisor.state.starts, supervisor.state.restarts) == (2, 0)


async def test_ports_are_looked_at_while_no_node_has_them(
    supervisor: NodeSupervisor, node_settings: NodeSettings, chain_run: ChainRun
) -> None:
    await supervisor.check_ports()
    with (
        socket.create_server((node_settings.p2p.host, node_settings.p2p.port)),
        pytest.raises(TemporaryError, match="P2P_LISTEN"),
    ):
        await supervisor.check_ports()
    supervisor.require(chain_run)
    await supervisor.ready(HANGING)
    await supervisor.check_ports()  # the node's own


async def test_stop_works_at_any_moment_of_a_start(
    supervisor: NodeSupervisor, chain_run: ChainRun, fake_node: FakeNode
) -> None:
    for turns in range(0, 60, 4):
        supervisor.require(chain_run)
        for _ in range(turns):
            await asyncio.sleep(0.001)
        await supervisor.stop()
        assert supervisor.state.phase is ProcessPhase.STOPPED
    await eventually(lambda: not any(is_running(start["pid"]) for start in fake_node.starts))


async def test_cancelling_the_supervisor_stops_the_node(
    node_settings: NodeSettings, chain_run: ChainRun, fake_node: FakeNode
) -> None:
    supervisor = NodeSupervisor(node_settings, lambda: None, limits=QUICK)
    async with running(supervisor):
        supervisor.require(chain_run)
        await supervisor.ready(HANGING)
    assert not is_running(fake_node.starts[0]["pid"])
    assert supervisor.state.phase is ProcessPhase.STOPPED


async def test_another_chain_replaces_the_node(
    supervisor: NodeSupervisor, chain_run: ChainRun, fake_node: FakeNode, tmp_path: Path
) -> None:
    supervisor.require(chain_run)
    await supervisor.ready(HANGING)
    other = ChainDirectory(tmp_path / "other")
    other.path.mkdir()
    fake_node.behave(block0_hash="b1" * 32)
    supervisor.require(replace(chain_run, block0_hash="b1" * 32, directory=other))
    await supervisor.ready(HANGING)
    assert supervisor.state.block0_hash == "b1" * 32
    first, second = fake_node.starts
    assert fake_node.terminated == [first["pid"]]
    assert str(other.block0) in second["arguments"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
async def test_a_node_that_dies_is_started_again(
    supervisor: NodeSupervisor, chain_run: ChainRun, number: signal.Signals
) -> None:
    supervisor.require(chain_run)
    pid = await started(supervisor, 1)
    os.kill(pid, number)
    assert await started(supervisor, 2) != pid
    assert supervisor.state.problem is None


async def test_a_node_that_ends_again_and_again_is_started_until_it_runs(
    supervisor: NodeSupervisor, chain_run: ChainRun, fake_node: FakeNode
) -> None:
    fake_node.behave(exits=12, stderr="panic: error binding\n")
    supervisor.require(chain_run)
    await eventually(lambda: len(fake_node.starts) >= 4)
    assert supervisor.state.problem
    assert supervisor.state.problem.reason == "NodePanicked"
    fake_node.behave(exits=None)
    await supervisor.ready(HANGING)
    assert supervisor.state.problem is None


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (2, "NodeConfigRefused"),
        (3, "NodeFilesUnusable"),
        (4, "Block0Unreadable"),
        (5, "StorageDamaged"),
        (7, "Block0Mismatch"),
        (8, "SigningKeyRefused"),
        (13, "SystemLimits"),
    ],
)
async def test_what_a_restart_does_not_heal_is_tried_again_slowly(
    supervise: Callable[[NodeLimits], Awaitable[NodeSupervisor]],
    chain_run: ChainRun,
    fake_node: FakeNode,
    code: int,
    reason: str,
) -> None:
    supervisor = await supervise(replace(QUICK, repair_delay=600))
    fake_node.behave(exits=code, stderr="Reason\n |-> cause\n")
    supervisor.require(chain_run)
    await eventually(lambda: supervisor.state.phase is ProcessPhase.FAILED)
    assert supervisor.state.problem
    assert supervisor.state.problem.reason == reason
    assert "Reason |-> cause" in supervisor.state.problem.message
    with pytest.raises(TemporaryError, match=r"the node is failed after 0\.1 s.*Reason"):
        await supervisor.ready(0.1)
    assert len(fake_node.starts) == 1
    fake_node.behave(exits=None)
    supervisor.require(replace(chain_run, peers=OTHERS))  # what was wrong may be mended now
    await supervisor.ready(HANGING)


async def test_a_change_while_a_start_fails_is_not_missed(
    supervise: Callable[[NodeLimits], Awaitable[NodeSupervisor]], chain_run: ChainRun, fake_node: FakeNode
) -> None:
    supervisor = await supervise(replace(QUICK, repair_delay=600))

    async def secret() -> Secret | None:
        supervisor.require(replace(chain_run, peers=OTHERS))
        return KEY

    fake_node.behave(exits=4)
    supervisor.require(replace(chain_run, secret=secret))
    await eventually(lambda: len(fake_node.starts) == 2)


async def test_slow_repetition_heals_by_itself(
    supervisor: NodeSupervisor, chain_run: ChainRun, fake_node: FakeNode
) -> None:
    fake_node.behave(exits=4)
    supervisor.require(chain_run)
    await eventually(lambda: supervisor.state.phase is ProcessPhase.FAILED)
    fake_node.behave(exits=None)
    await supervisor.ready(HANGING)


async def test_a_node_that_loads_its_chain_is_left_alone(
    supervise: Callable[[NodeLimits], Awaitable[NodeSupervisor]], chain_run: ChainRun, fake_node: FakeNode
) -> None:
    supervisor = await supervise(replace(QUICK, silent=1.0))
    fake_node.behave(bootstrapping=True)
    supervisor.require(chain_run)
    await eventually(lambda: supervisor.state.phase is ProcessPhase.BOOTSTRAPPING)
    with pytest.raises(TemporaryError, match="bootstrapping"):
        await supervisor.ready(2.0)
    fake_node.behave(bootstrapping=False)
    await supervisor.ready(HANGING)
    assert supervisor.state.starts == 1


@pytest.mark.parametrize("stops", [True, False], ids=["stopped process", "never listens"])
async def test_a_silent_node_is_replaced(
    supervise: Callable[[NodeLimits], Awaitable[NodeSupervisor]],
    chain_run: ChainRun,
    fake_node: FakeNode,
    monkeypatch: pytest.MonkeyPatch,
    stops: bool,
) -> None:
    monkeypatch.setattr("node_fsm.node.supervisor._HEALTH_TIMEOUT", 0.3)
    supervisor = await supervise(replace(QUICK, silent=1.5))
    fake_node.behave(listens=stops)
    supervisor.require(chain_run)
    if stops:
        os.kill(await started(supervisor, 1), signal.SIGSTOP)
    await eventually(lambda: supervisor.state.problem is not None)
    assert supervisor.state.problem
    assert supervisor.state.problem.reason == "NodeHung"
    fake_node.behave(listens=True)
    await eventually(lambda: supervisor.state.running and supervisor.state.starts >= 2)
    assert fake_node.terminated[0] == fake_node.starts[0]["pid"]


async def test_a_chain_that_stands_still(
    supervise: Callable[[NodeLimits], Awaitable[NodeSupervisor]], chain_run: ChainRun, fake_node: FakeNode
) -> None:
    supervisor = await supervise(replace(QUICK, stalled=1.0))
    supervisor.require(chain_run)
    await eventually(lambda: supervisor.state.stalled_since is not None)
    stalled_since = supervisor.state.stalled_since
    await eventually(lambda: supervisor.state.starts == 2 and supervisor.state.running)
    assert supervisor.state.stalled_since == stalled_since
    assert stalled_since
    assert timedelta(seconds=0.5) < datetime.now(UTC) - stalled_since < timedelta(seconds=15)
    fake_node.behave(height=2)
    await eventually(lambda: supervisor.state.stalled_since is None)


async def test_among_several_leaders_a_standing_chain_is_only_told(
    supervise: Callable[[NodeLimits], Awaitable[NodeSupervisor]], chain_run: ChainRun
) -> None:
    supervisor = await supervise(replace(QUICK, stalled=0.3))
    supervisor.require(replace(chain_run, peers=("/ip4/127.0.0.1/tcp/1",)))
    await eventually(lambda: supervisor.state.stalled_since is not None)
    for _ in range(50):
        await supervisor.api.stats()
    assert supervisor.state.starts == 1


async def test_the_wrong_chain_is_never_ready(
    supervisor: NodeSupervisor, chain_run: ChainRun, fake_node: FakeNode
) -> None:
    fake_node.behave(block0_hash="ff" * 32)
    supervisor.require(chain_run)
    await eventually(lambda: supervisor.state.phase is ProcessPhase.FAILED)
    assert supervisor.state.problem
    assert supervisor.state.problem.reason == "WrongChain"
    assert not is_running(fake_node.starts[0]["pid"])


async def test_waits_for_the_chains_start(
    node_settings: NodeSettings, chain_run: ChainRun, fake_node: FakeNode
) -> None:
    clock = SetClock(chain_run.clock.start - timedelta(seconds=0.2))
    supervisor = NodeSupervisor(node_settings, lambda: None, clock=clock, limits=QUICK)
    async with running(supervisor):
        supervisor.require(chain_run)
        with pytest.raises(TemporaryError, match="the node is starting"):
            await supervisor.ready(0.5)
        assert fake_node.starts == []
        clock.time = chain_run.clock.start
        await supervisor.ready(HANGING)


async def test_key_is_asked_before_every_start_and_the_last_known_one_used_meanwhile(
    supervisor: NodeSupervisor, chain_run: ChainRun, fake_node: FakeNode
) -> None:
    answers: list[Secret | TemporaryError] = [
        TemporaryError("StoreUnavailable", "S3 is away"),
        Secret("first"),
        TemporaryError("StoreUnavailable", "S3 is away"),
        Secret("rotated"),
    ]

    async def secret() -> Secret | None:
        answer = answers.pop(0)
        if isinstance(answer, TemporaryError):
            raise answer
        return answer

    supervisor.require(replace(chain_run, secret=secret))
    for starts in (1, 2):
        os.kill(await started(supervisor, starts), signal.SIGKILL)
    await started(supervisor, 3)
    assert [start["stdin"].split()[-1] for start in fake_node.starts] == ["first", "first", "rotated"]


async def test_a_key_that_a_person_must_mend_starts_nothing(
    supervisor: NodeSupervisor, chain_run: ChainRun, fake_node: FakeNode
) -> None:
    async def secret() -> Secret | None:
        raise PermanentError("SigningKeyMissing", "upload it")

    supervisor.require(replace(chain_run, secret=secret))
    await eventually(lambda: supervisor.state.phase is ProcessPhase.FAILED)
    assert supervisor.state.problem == ("SigningKeyMissing", "upload it")
    assert fake_node.starts == []


async def test_a_full_or_broken_disk_is_a_problem_to_wait_out(
    supervisor: NodeSupervisor, chain_run: ChainRun, fake_node: FakeNode
) -> None:
    shutil.rmtree(chain_run.directory.path)
    supervisor.require(chain_run)
    await eventually(lambda: supervisor.state.phase is ProcessPhase.FAILED)
    assert supervisor.state.problem
    assert supervisor.state.problem.reason == "DiskUnusable"
    assert str(chain_run.directory.node_config) in supervisor.state.problem.message
    chain_run.directory.path.mkdir()
    await supervisor.ready(HANGING)
    assert KEY.reveal() in fake_node.starts[0]["stdin"]


async def test_restarts_count_ends_by_itself_on_one_chain_also_when_the_next_start_fails_first(
    supervisor: NodeSupervisor, chain_run: ChainRun
) -> None:
    answers: list[Secret | PermanentError] = []

    async def secret() -> Secret | None:
        answer = answers.pop(0) if answers else Secret("key")
        if isinstance(answer, PermanentError):
            raise answer
        return answer

    supervisor.require(replace(chain_run, secret=secret))
    pid = await started(supervisor, 1)
    assert supervisor.state.restarts == 0
    answers = [PermanentError("SigningKeyMissing", "upload it")] * 2
    os.kill(pid, signal.SIGKILL)
    await started(supervisor, 2)
    assert supervisor.state.restarts == 1
    await supervisor.stop()
    assert supervisor.state.restarts == 1, "what was counted stays counted"
    supervisor.require(replace(chain_run, secret=secret))
    await started(supervisor, 3)
    assert supervisor.state.restarts == 1, "the first start of another election"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "DescriptorsExhausted"),
        (RuntimeError("can't start new thread"), "ProcessesExhausted"),
        (ValueError("a defect"), "UnexpectedError"),
    ],
)
async def test_whatever_a_start_runs_into_the_next_one_may_not(
    supervisor: NodeSupervisor, chain_run: ChainRun, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def fail(*_: object) -> NoReturn:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr("node_fsm.node.process.socket.socketpair", fail)
        supervisor.require(chain_run)
        await eventually(lambda: supervisor.state.problem is not None)
    assert supervisor.state.problem
    assert supervisor.state.problem.reason == reason
    await supervisor.ready(20)


async def test_a_node_that_the_system_cannot_start_is_no_missing_executable(
    supervisor: NodeSupervisor, chain_run: ChainRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    starved = tmp_path / "leash.py"
    starved.write_text("import os; os.write(2, b'jormungandr cannot be started: Too many open files'); os._exit(127)")
    with monkeypatch.context() as broken:
        broken.setattr("node_fsm.programs.leashed.leash.__file__", str(starved))
        supervisor.require(chain_run)
        await eventually(lambda: supervisor.state.problem is not None)
    assert supervisor.state.problem
    assert supervisor.state.problem.reason == "DescriptorsExhausted"
    assert "NODE_FSM_JORM_PATH" not in supervisor.state.problem.message
    await supervisor.ready(20)


@pytest.mark.parametrize("place", ["rest.NodeRest.stats", "watch._mark"])
async def test_a_look_that_fails_ends_no_node(
    supervisor: NodeSupervisor,
    chain_run: ChainRun,
    fake_node: FakeNode,
    monkeypatch: pytest.MonkeyPatch,
    *,
    place: str,
) -> None:
    failures = []

    def fail(*_: object) -> NoReturn:
        failures.append(place)
        raise PermissionError(errno.EACCES, "Permission denied", "/storage/held")

    with monkeypatch.context() as broken:
        broken.setattr(f"node_fsm.node.{place}", fail)
        supervisor.require(chain_run)
        await eventually(lambda: len(failures) > 3)
    await supervisor.ready(20)
    await eventually(lambda: chain_run.directory.is_held)
    assert len(fake_node.starts) == supervisor.state.starts == 1


async def test_the_mark_is_not_written_again_at_every_look(
    supervisor: NodeSupervisor, chain_run: ChainRun, fake_node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = []
    mark_held = ChainDirectory.mark_held

    def mark(directory: ChainDirectory) -> None:
        marks.append(directory)
        mark_held(directory)

    monkeypatch.setattr(ChainDirectory, "mark_held", mark)
    supervisor.require(chain_run)
    await supervisor.ready(20)
    for height in (2, 3, 4):
        fake_node.behave(height=height)
        await eventually(lambda: supervisor.state.height == height)  # noqa: B023 - it is awaited at once
    assert marks == [chain_run.directory]


async def test_records_are_files_named_after_what_they_are(
    supervisor: NodeSupervisor, chain_run: ChainRun, tmp_path: Path
) -> None:
    supervisor.require(chain_run)
    await supervisor.ready(20)
    kept = tmp_path / "kept"
    kept.mkdir()
    await supervisor.save_records(kept)
    assert {file.name for file in kept.iterdir()} == set(RECORDS)
