"""Faults of the service itself: it ends, stands still, or there is another one."""

import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from node_fsm_sandbox.election.part import settings_of
from node_fsm_sandbox.election.service_process import ServiceProcess

from node_fsm.core.conditions import ConditionType
from node_fsm.service import STOP_SECONDS
from tests.faults.matrix.fault import Fault, stays
from tests.faults.matrix.scene import Scene
from tests.faults.matrix.table import Cell
from tests.support.polling import HANGING
from tests.support.processes import command_of


class ServiceKilled(Fault):
    """kill -9 of the service, after which it is started again, as a container is."""

    id = "F20"

    async def strike(self, scene: Scene, cell: Cell) -> None:
        await scene.service.kill()
        await scene.service.start()
        await scene.reach(cell.phase)


class ServiceTerminated(Fault):
    """SIGTERM, which it obeys in time, node included; then it is started again."""

    id = "F21"

    async def strike(self, scene: Scene, cell: Cell) -> None:
        began = time.monotonic()
        assert await scene.service.stop() == 0, "it ends in order"
        assert time.monotonic() - began < STOP_SECONDS
        await scene.service.start()
        await scene.reach(cell.phase)


class ServiceStuck(Fault):
    """The service is stopped: its heartbeat fails, for which a container is started anew."""

    id = "F27"

    async def strike(self, scene: Scene, cell: Cell) -> None:
        scene.service.process.send_signal(signal.SIGSTOP)
        assert await scene.service.state() is None, "who stands still does not answer"
        await scene.service.kill()
        await scene.service.start()
        await scene.reach(cell.phase)


class SecondLeader0(Fault):
    """Another service is started as leader 0, as on another machine, with the same key: it writes and runs nothing."""

    id = "F22"

    async def strike(self, scene: Scene, cell: Cell) -> None:
        published = await scene.sql("SELECT array_agg(block0_hash) FROM vote_plan")
        async with twin(scene, str(cell.phase)) as other:
            await other.wait_for_condition(ConditionType.OTHER_LEADER0, HANGING)
            await stays(scene, cell.phase)
            assert not [child for child in other.process.children(recursive=True) if "--config" in command_of(child)]
        assert await scene.sql("SELECT array_agg(block0_hash) FROM vote_plan") == published
        await scene.reach(cell.phase)


@asynccontextmanager
async def twin(scene: Scene, name: str) -> AsyncIterator[ServiceProcess]:
    """Another leader 0 by the same name and key, with directory and ports of its own."""
    directory = scene.directory / f"twin-{name}"
    directory.mkdir()
    own = settings_of(scene.part, scene.bucket.name, directory / "storage")
    settings = scene.service.settings | own
    settings.pop("NODE_FSM_FAILPOINTS", None)
    service = ServiceProcess(scene.part.hostname, settings, directory / "service.log", directory)
    try:
        await service.start()
        yield service
    finally:
        await service.close()
