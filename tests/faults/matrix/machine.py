"""Faults of the machine: its disk, its clock, its limits, and who reads its log."""

import asyncio
import os
import resource
import shutil
import subprocess
from abc import abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import pytest

from node_fsm.core.conditions import ConditionType
from node_fsm.core.phases import BEFORE_PUBLICATION, Phase
from tests.faults.matrix.fault import WATCHED_SECONDS, Fault, begins, recovers, stays
from tests.faults.matrix.scene import WITH_NODE, Scene
from tests.faults.matrix.table import Cell, Promise

FAILING = ConditionType.WORK_FAILING
CLOCK_WRONG = ConditionType.CLOCK_WRONG
LEAD_SECONDS = 25
"""To the start of voting of an election that is not due before the clock is set."""

DISK_BYTES = 400 * 2**20
"""More than what is told to be short."""

WRITING = frozenset({Phase.BUILDING_VOTE_PLAN, Phase.GENERATING_BLOCK0, Phase.ARCHIVING})
"""The phases whose work writes to the disk."""


class DiskFull(Fault):
    """The disk of the working directory takes not a byte more."""

    id = "F17"
    seconds: ClassVar[float] = 15.0

    async def prepare(self, scene: Scene) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root mounts a small disk")
        scene.storage.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(scene.storage)]
        done = subprocess.run(mount, capture_output=True, check=False, text=True)
        if done.returncode:
            pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
        scene.stack.callback(subprocess.run, ["umount", "-l", str(scene.storage)], check=True)

    async def strike(self, scene: Scene, cell: Cell) -> None:
        ballast = scene.storage / "ballast"
        fill(ballast)
        if cell.phase is not Phase.RUNNING:  # a vote would find no room
            await begins(scene, cell.phase)
        if cell.promise is Promise.GOES_ON:
            await scene.until(lambda state: state.phase is not cell.phase, f"{cell.phase} needs no room")
        elif cell.promise is Promise.RESTARTED:
            await scene.condition(ConditionType.NODE_NOT_RUNNING if cell.phase is Phase.RUNNING else FAILING)
            assert (await scene.state()).phase is cell.phase
        else:
            await stays(scene, cell.phase, *([FAILING] if cell.phase in WRITING else []))
        await scene.heartbeat()
        ballast.unlink()
        await recovers(scene, FAILING, ConditionType.NODE_NOT_RUNNING)


def fill(ballast: Path) -> None:
    """Leave no room beside *ballast*."""
    with ballast.open("wb") as file, suppress(OSError):  # somebody else may be quicker
        while free := shutil.disk_usage(ballast.parent).free:
            os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), free)


class DescriptorsExhausted(Fault):
    """The service may open nothing more: what needs no new file or connection goes on, all else is tried again."""

    id = "F31"

    async def strike(self, scene: Scene, cell: Cell) -> None:
        process = scene.service.process
        before = process.rlimit(resource.RLIMIT_NOFILE)
        process.rlimit(resource.RLIMIT_NOFILE, (process.num_fds(), before[1]))
        node = scene.node_process()
        await begins(scene, cell.phase)
        await asyncio.sleep(WATCHED_SECONDS)
        assert process.is_running(), "it does not end for that"
        if cell.phase in WITH_NODE:
            assert scene.node_process() == node, "the node is kept"
        process.rlimit(resource.RLIMIT_NOFILE, before)
        await recovers(scene, FAILING, ConditionType.DATABASE_UNAVAILABLE, ConditionType.STORAGE_UNREADABLE)


class MemoryExhausted(Fault):
    """The service is given no more memory: it goes on, or no longer answers, for which a container is started anew.

    A thread that Python cannot begin for want of memory is waited for without end by whoever began it.
    """

    id = "F32"

    async def strike(self, scene: Scene, cell: Cell) -> None:
        process = scene.service.process
        before = process.rlimit(resource.RLIMIT_AS)
        process.rlimit(resource.RLIMIT_AS, (process.memory_info().vms, before[1]))
        await begins(scene, cell.phase)
        await asyncio.sleep(WATCHED_SECONDS)
        if process.is_running():
            process.rlimit(resource.RLIMIT_AS, before)
        if not await scene.service.state():
            await scene.service.kill()
            await scene.service.start()
        scene.let_go(cell.phase)
        await recovers(scene, FAILING, ConditionType.DATABASE_UNAVAILABLE, ConditionType.ENGINE_FAILING)


class _ClockSet(Fault):
    """The service's clock jumps; its node's, and those of all others, do not."""

    async def prepare(self, scene: Scene) -> None:
        library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
        if library is None:
            pytest.skip("no libfaketime: Debian's package faketime has it")
        scene.service.settings |= {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file(scene)),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_CACHE_DURATION": "1",
        }
        self._set(scene, 0)

    async def strike(self, scene: Scene, cell: Cell) -> None:
        if cell.phase is Phase.WAITING:
            await scene.post_election(lead=LEAD_SECONDS)
        self._set(scene, self.jump(cell.phase))
        await scene.condition(CLOCK_WRONG, "ClockWrong")
        if cell.phase in {Phase.WAITING, Phase.RUNNING}:
            await stays(scene, cell.phase)
        else:
            await begins(scene, cell.phase)
            await scene.until(lambda state: state.phase is not cell.phase, f"{cell.phase} is done by a wrong clock")
        self._set(scene, 0)
        await recovers(scene, CLOCK_WRONG)

    @abstractmethod
    def jump(self, phase: Phase) -> int:
        """By how many seconds."""

    @staticmethod
    def _file(scene: Scene) -> Path:
        return scene.directory / "clock"

    def _set(self, scene: Scene, seconds: int) -> None:
        unfinished = scene.directory / "clock.unfinished"
        unfinished.write_text(f"{seconds:+d}")
        unfinished.rename(self._file(scene))


class ClockAhead(_ClockSet):
    """Past the next deadline."""

    id = "F18"

    def jump(self, phase: Phase) -> int:
        return 20 if phase in {Phase.WAITING} | BEFORE_PUBLICATION else 3600


class ClockBehind(_ClockSet):
    """An hour back: what was over is ahead again."""

    id = "F19"

    def jump(self, phase: Phase) -> int:
        return -3600


class LogBlocked(Fault):
    """Nobody reads the log any more, and its pipe is full."""

    id = "F33"

    async def prepare(self, scene: Scene) -> None:
        log = scene.service.log
        os.mkfifo(log)
        descriptor = os.open(log, os.O_RDWR)
        scene.stack.callback(os.close, descriptor)
        scene.service.settings["NODE_FSM_LOG_LEVEL"] = "TRACE"
        os.set_blocking(descriptor, False)
        self._stuff(descriptor)

    async def strike(self, scene: Scene, cell: Cell) -> None:
        await stays(scene, cell.phase)

    @staticmethod
    def _stuff(descriptor: int) -> None:
        with suppress(BlockingIOError):
            while os.write(descriptor, b"stuffed\n" * 512):
                pass
