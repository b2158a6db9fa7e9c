"""Elections in a row in one set of simulated hosts: the real engine, phases and steps on time that jumps.

    python -m tests.soak.virtual --elections 1000

Each election is disturbed as those of tests/simulation, ends by the same promises, and is then taken out of database,
S3 and nodes, so that what grows is what the services keep. In the first half services are killed, too. It ends with 0
when every promise held and nothing that was measured has grown.
"""

import argparse
import asyncio
import gc
import random
import sys
import threading
import time
from dataclasses import replace
from functools import _lru_cache_wrapper
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from loguru import logger

from tests.simulation.cluster import Cluster
from tests.simulation.disturbance import Disturbance, Kind, draw_disturbances
from tests.simulation.host import Host
from tests.simulation.loop import SimulationLoop, threads_at_once
from tests.simulation.promises import BrokenPromiseError, Promises
from tests.simulation.scenario import Planned, Scenario
from tests.soak.figures import Figures

BLOCKS_LIMIT = 40.0
"""Blocks that Python has allocated, an election; an object has one or more. What is bounded fills up for long: the
interpreter's lists of what it freed, and pydantic's cache of strings."""

RESIDENT_LIMIT = 20.0
"""KiB, an election: an allocator keeps what it had once."""

COUNT_LIMIT = 0.01
SAMPLES = 40
WARM_PART = 0.1
"""Of the elections, after which everything has been imported and every cache is full."""

DEADLY = frozenset({Kind.SERVICE_KILLED, Kind.SERVICE_STOPPED, Kind.DISK_LOST, Kind.POWER_LOST, Kind.CALLS_KILL})
"""What ends services."""

SCENARIO = Scenario(0, leaders=("leader1",), followers=("follower",), standby=(), hot_reload=False, elections=())


def draw(seed: int, *, spared: bool) -> tuple[Planned, tuple[Disturbance, ...]]:
    """The election of *seed* and what befalls it, in seconds from its beginning; services are *spared* from death."""
    planned = Scenario.draw(seed).elections[0]
    says = (replace(say, host=say.host if say.host in SCENARIO.hosts else "leader0") for say in planned.says)
    edits = tuple(replace(edit, at=max(edit.at - planned.written, 1)) for edit in planned.edits)
    planned = replace(planned, id=seed + 1, written=0.0, says=tuple(says), edits=edits)
    disturbances = draw_disturbances(seed, replace(SCENARIO, elections=(planned,)))
    return planned, tuple(one for one in disturbances if not (spared and one.kind in DEADLY))


class LongCluster(Cluster):
    """A cluster that holds one election after the other; see :meth:`hold`."""

    def __init__(self, directory: Path) -> None:
        super().__init__(SCENARIO, (), 0, directory)
        self._before = self.database.copy()

    async def hold(self, planned: Planned, disturbances: tuple[Disturbance, ...]) -> None:
        """One election to its end, by the promises of simulated ones, with times from now on."""
        began = self.clock.monotonic()
        self.scenario = replace(self.scenario, elections=(replace(planned, at=began + planned.at),))
        self.accepted = {planned.id: set()}
        self.promises = Promises(self.database, self.store, self.nodes)
        self.database.rows[planned.id] = self.elections[0].row()
        self.database.notify()
        self.happen([planned], disturbances)
        try:
            await self.finish()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._tasks.clear()

    def forget(self) -> None:
        """Leave nothing of the election outside of the services."""
        self.database.rows.clear()
        self.database.restore(self._before)
        self.database.canonical.clear()
        self.store.requests.clear()
        for uri in [uri for uri in self.store.objects if not uri.startswith("s3://keys/")]:
            del self.store.objects[uri]
        self._shared.clear()
        for host in self.hosts.values():
            host.node.posted.clear()
            host.node.restarts.clear()
            _bury_the_dead(host)


def _bury_the_dead(host: Host) -> None:
    """Let go of earlier lives, and of what the present one has done."""
    mishaps = list(host.mishaps)
    for process in host._all_processes:
        if process.is_dead:
            process.bury()
        process._tasks[:] = [task for task in process._tasks if not task.done()]
    host._all_processes[:] = [process for process in host._all_processes if not process.is_dead]
    host._begun[:] = host._begun[-len(host._parts) :]
    host.mishaps[:] = mishaps  # not those of the dead


async def hold_all(elections: int, directory: Path, figures: Figures) -> None:
    """Hold so many and measure in between; raises BrokenPromiseError."""
    cluster = LongCluster(directory)
    every = max(1, elections // SAMPLES)
    try:
        for held in range(1, elections + 1):
            planned, disturbances = draw(held - 1, spared=held > elections / 2)
            try:
                await cluster.hold(planned, disturbances)
            except BrokenPromiseError as error:
                story = "\n".join(map(str, disturbances))
                raise BrokenPromiseError(f"election {held}: {error}\n{planned}\n{story}") from error
            cluster.forget()
            if held % every == 0 and held > WARM_PART * elections:
                measure(figures, held)
    finally:
        cluster.bury()


def measure(figures: Figures, held: int) -> None:
    """Note what this process holds after *held* elections."""
    gc.collect()
    for one in gc.get_objects():
        if isinstance(one, _lru_cache_wrapper):  # a cache is bounded by itself, and full only after a while
            one.cache_clear()
    process = psutil.Process()
    figures.note("allocated", "blocks", sys.getallocatedblocks(), held=held, limit=BLOCKS_LIMIT)
    figures.note("resident", "KiB", process.memory_info().rss / 1024, held=held, limit=RESIDENT_LIMIT)
    counts = {
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "descriptors": process.num_fds(),
    }
    for what, count in counts.items():
        figures.note(what, what, count, held=held, limit=COUNT_LIMIT)


def run(elections: int, figures: Figures) -> None:
    """Hold them on a loop of their own."""
    random.seed(0)  # delays between attempts are spread by it
    loop = SimulationLoop()
    try:
        with TemporaryDirectory(prefix="simulation-") as home, threads_at_once():
            loop.run_until_complete(hold_all(elections, Path(home), figures))
    finally:
        loop.close()


def main() -> int:
    """0 when all is as it must be."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.virtual", description=__doc__)
    parser.add_argument("--elections", type=int, default=1000)
    parser.add_argument("--log", action="store_true", help="show what the services log")
    asked = parser.parse_args()
    logger.remove()
    if asked.log:
        logger.add(sys.stderr, level="DEBUG", format="{message}")
    figures, began = Figures(), time.monotonic()
    run(asked.elections, figures)
    print("\n".join(figures.table()))
    growing = figures.growing()
    print(f"{asked.elections} elections on virtual time, {time.monotonic() - began:.0f} s, {len(growing)} things grow")
    print("\n".join(growing))
    return bool(growing)


if __name__ == "__main__":
    sys.exit(main())
