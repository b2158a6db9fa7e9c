"""Cells that are run on the simulation's real engine, since no machine can do them by itself.

``python -m tests.faults.matrix.simulated CELL`` ends with 0 when the promise was kept.
"""

import asyncio
import sys
from collections.abc import Callable
from datetime import timedelta

from loguru import logger

from node_fsm.core.phases import Phase
from tests.faults.matrix.table import Cell, read
from tests.simulation.cluster import Cluster, simulate
from tests.simulation.disturbance import Disturbance, Kind
from tests.simulation.history import differences
from tests.simulation.scenario import Planned, Say, Scenario
from tests.support.fakes import START
from tests.support.polling import HANGING

ELECTION = Planned(
    id=1,
    at=180,
    written=0,
    groups=1,
    private=0,
    edits=(),
    says=(Say(220, "leader0", 0, 0, 0, 1), Say(240, "leader1", 0, 1, 1, 0)),
)
CLUSTER = Scenario(0, ("leader1", "leader2"), ("follower",), (), hot_reload=False, elections=(ELECTION,))

SECONDS = 40.0
MOMENTS = {Phase.RUNNING: 250.0, Phase.TALLYING: ELECTION.voting_end + 2}


def cut_off(cell: Cell) -> tuple[Disturbance, ...]:
    """The node is cut off from all others."""
    host = {"leader0": "leader0", "leader": "leader1", "follower": "follower"}[cell.role]
    return tuple(
        Disturbance(MOMENTS[cell.phase], SECONDS, Kind.CUT, host, other, 0) for other in CLUSTER.hosts if other != host
    )


SIMULATED: dict[str, Callable[[Cell], tuple[Disturbance, ...]]] = {"F16": cut_off}
"""By fault, what befalls the cluster."""


async def run(cell: Cell) -> None:
    """Have a process of its own simulate *cell*; AssertionError says how the promise was broken."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, str(cell)), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(HANGING):
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode(errors="replace")


def main(name: str) -> None:
    """Simulate the cell of this name; AssertionError when its promise was broken."""
    logger.remove()
    (cell,) = (one for one in read() if str(one) == name)
    disturbances = SIMULATED[cell.fault](cell)
    cluster = simulate(CLUSTER, disturbances, 0)
    struck = disturbances[0]
    assert phase_at(cluster, struck.host, struck.at + 1) is cell.phase, "it befell another phase"
    assert differences(cluster, simulate(CLUSTER, (), 0)) == []
    assert {host.lives for host in cluster.hosts.values()} == {1}


def phase_at(cluster: Cluster, host: str, at: float) -> Phase:
    """In which phase a host was then, by the journal."""
    moves = [
        entry
        for entry in cluster.database.journalled
        if entry.hostname == host and entry.source is not entry.target and entry.at <= START + timedelta(seconds=at)
    ]
    moves.sort(key=lambda entry: entry.at)  # of several at one moment the last one counts
    return Phase(moves[-1].target) if moves else Phase.WAITING


if __name__ == "__main__":
    main(sys.argv[1])
