"""Faults of the node's store: damaged, locked, of another chain."""

import fcntl
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from node_fsm.core.conditions import ConditionType
from node_fsm.core.phases import Phase
from tests.faults.matrix.ending import Ending
from tests.faults.matrix.fault import Fault, recovers
from tests.faults.matrix.scene import Scene
from tests.faults.matrix.table import Cell, Promise

NODE_NOT_RUNNING = ConditionType.NODE_NOT_RUNNING
FAILING = ConditionType.WORK_FAILING


@asynccontextmanager
async def without_node(scene: Scene) -> AsyncIterator[Path]:
    """The node is killed, and the service finds that out after the block: the file of the node's store."""
    await scene.height()
    (store,) = scene.storage.glob("elections/*/*/storage/volatile/db")
    scene.service.process.suspend()
    try:
        node = scene.node_process()
        assert node, "a node runs"
        node.kill()
        await scene.eventually(lambda: not node.is_running() or node.status() == "zombie", "the node has ended")
        yield store
    finally:
        scene.service.process.resume()


class StoreDamaged(Fault):
    """The store is cut off and written over: it is set aside where a peer has the chain, and kept for a person else."""

    id = "F15"
    seconds: ClassVar[float] = 45.0

    async def strike(self, scene: Scene, cell: Cell) -> None:
        if cell.phase is Phase.RUNNING:
            await scene.vote(1)
        async with without_node(scene) as store:
            sound = store.read_bytes()
            store.write_bytes(b"junk" + sound[: len(sound) // 2])
        scene.let_go(cell.phase)
        if cell.promise is Promise.SET_ASIDE:
            await scene.eventually(
                lambda: bool([*store.parents[2].glob("storage-damaged-*")]), "the store is set aside"
            )
        else:
            if cell.phase is Phase.RUNNING:
                await scene.condition(NODE_NOT_RUNNING, "StorageDamaged")
            else:
                await scene.condition(FAILING)
            assert store.read_bytes().startswith(b"junk"), "it is left as it was"
            assert (await scene.state()).phase is cell.phase
            store.write_bytes(sound)
        await recovers(scene, NODE_NOT_RUNNING, FAILING)


class StoreLocked(Fault):
    """Something else has the store open: it is waited for."""

    id = "F15b"
    seconds: ClassVar[float] = 30.0

    async def strike(self, scene: Scene, cell: Cell) -> None:
        async with without_node(scene) as store:
            holder = store.open("rb")
            fcntl.flock(holder, fcntl.LOCK_EX)
        try:
            if cell.phase is Phase.RUNNING:
                await scene.condition(NODE_NOT_RUNNING, "StorageLocked")
            await scene.heartbeat()
            assert (await scene.state()).phase is cell.phase
        finally:
            holder.close()
        await recovers(scene, NODE_NOT_RUNNING)


class StoreOfAnother(Fault):
    """There is the store of an earlier election that nobody knows any more: it is set aside, and never deleted."""

    id = "F15c"
    remains = frozenset({ConditionType.SET_ASIDE_UNARCHIVED})

    async def strike(self, scene: Scene, cell: Cell) -> None:
        await scene.service.kill()
        store = scene.storage / "elections" / "999" / ("ab" * 32) / "storage" / "volatile"
        store.mkdir(parents=True)
        (store / "db").write_bytes(b"what another chain had")
        (store.parents[1] / "blocks.bin").write_bytes(b"and the copy of it")
        await scene.service.start()
        await scene.eventually(lambda: bool(self._kept(scene)), "it is set aside")
        await scene.reach(cell.phase)

    def ending(self, scene: Scene, cells: Collection[Cell]) -> Ending:
        assert len(self._kept(scene)) == 1, "it is still there"
        return replace(Ending.undisturbed(scene), left=tuple(path.name for path in self._kept(scene)))

    @staticmethod
    def _kept(scene: Scene) -> list[Path]:
        return [path for path in (scene.storage / "set-aside").glob("*") if [*path.rglob("db")]]
