"""Faults of the node and of jcli."""

import signal
from pathlib import Path
from typing import ClassVar

from node_fsm.core.conditions import ConditionType
from node_fsm.core.phases import Phase
from tests.faults.matrix.fault import Fault, begins, recovers, stays
from tests.faults.matrix.scene import Scene
from tests.faults.matrix.table import Cell, Promise

FAILING = ConditionType.WORK_FAILING
NODE_NOT_RUNNING = ConditionType.NODE_NOT_RUNNING


class NodeKilled(Fault):
    """The node is killed, as by the kernel when memory is short."""

    id = "F13"

    async def strike(self, scene: Scene, cell: Cell) -> None:
        await scene.height()
        if cell.phase is Phase.RUNNING:
            await scene.vote(1)
        before = scene.node_process()
        assert before, f"a node runs in {cell.phase}"
        before.kill()
        await scene.eventually(lambda: scene.node_process() not in {None, before}, "another node runs")
        await scene.reach(cell.phase)


class NodeHangs(Fault):
    """The node is stopped: it answers nothing and makes no blocks, and is replaced."""

    id = "F14"
    seconds: ClassVar[float] = 45.0

    async def strike(self, scene: Scene, cell: Cell) -> None:
        await scene.height()
        before = scene.node_process()
        assert before, f"a node runs in {cell.phase}"
        before.send_signal(signal.SIGSTOP)
        await scene.heartbeat()
        await scene.eventually(lambda: scene.node_process() not in {None, before}, "another node runs")
        assert not before.is_running()
        await scene.reach(cell.phase)


class JcliFails(Fault):
    """jcli is no program, and then ends with an error: for a person to mend, and then the work goes on by itself."""

    id = "F10"

    async def strike(self, scene: Scene, cell: Cell) -> None:
        scene.programs.jcli.chmod(0o600)
        await begins(scene, cell.phase)
        await stays(scene, cell.phase, FAILING, reason="CommandNotExecutable")
        scene.programs.fail(cell.phase)
        scene.programs.jcli.chmod(0o700)
        # Whether jcli refuses the key or everything it does not say.
        reason = "KeyMalformed" if cell.phase is Phase.FETCHING_KEY else "CommandFailed"
        await stays(scene, cell.phase, FAILING, reason=reason)
        scene.programs.mend()
        await recovers(scene, FAILING)


class JcliHangs(Fault):
    """jcli does not end: it is killed and called again."""

    id = "F11"
    seconds: ClassVar[float] = 30.0

    async def strike(self, scene: Scene, cell: Cell) -> None:
        scene.programs.pause(cell.phase)
        await begins(scene, cell.phase)
        if cell.phase is not Phase.GENERATING_BLOCK0:  # block 0 of a million voters is given ten minutes
            await scene.condition(FAILING, "CommandTimeout")
        await stays(scene, cell.phase)
        scene.programs.go_on(cell.phase)
        await recovers(scene, FAILING)


class NodeExits(Fault):
    """The node ends at each start with one exit code."""

    code: ClassVar[int]
    reason: ClassVar[str]
    seconds: ClassVar[float] = 50.0

    async def strike(self, scene: Scene, cell: Cell) -> None:
        await scene.height()
        if cell.phase is Phase.RUNNING:
            await scene.vote(1)
        before = scene.node_process()
        assert before, f"a node runs in {cell.phase}"
        scene.programs.exit_with(self.code)
        before.kill()
        if cell.phase is Phase.TALLYING:
            scene.let_go(cell.phase)
            await scene.condition(FAILING, "NodeNotReady")
        else:
            await scene.condition(NODE_NOT_RUNNING, self.reason)
        await scene.heartbeat()
        assert (await scene.state()).phase is cell.phase
        if cell.promise is Promise.SET_ASIDE:
            await scene.eventually(lambda: bool(_stores(scene, "storage-damaged-*")), "the store is set aside")
        else:
            assert len(_stores(scene, "storage")) == 1, "the store is where it was"
        if cell.promise is Promise.RESTARTED:
            await scene.eventually(lambda: scene.programs.ends > 1, "it is started again")
        scene.programs.mend()
        await scene.eventually(lambda: scene.node_process() is not None, "the node runs again")
        await recovers(scene, FAILING, NODE_NOT_RUNNING)


def _stores(scene: Scene, name: str) -> list[Path]:
    return [*scene.storage.glob(f"elections/*/*/{name}")]


def node_exits(code: int, reason: str) -> type[NodeExits]:
    """The fault that the node ends with *code*, which the service explains by *reason*."""
    return type(f"NodeExits{code}", (NodeExits,), {"id": f"F12-{code}", "code": code, "reason": reason})


NODE_EXITS = (
    node_exits(2, "NodeConfigRefused"),
    node_exits(3, "NodeFilesUnusable"),
    node_exits(4, "Block0Unreadable"),
    node_exits(5, "StorageDamaged"),
    node_exits(6, "StorageDamaged"),
    node_exits(7, "Block0Mismatch"),
    node_exits(8, "SigningKeyRefused"),
    node_exits(9, "Block0NotFound"),
    node_exits(10, "NodeWithoutPeers"),
    node_exits(12, "NodePanicked"),
    node_exits(13, "SystemLimits"),
)
