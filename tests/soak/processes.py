"""Measuring the processes of a cluster, its database and its disk, at a moment when nothing is under way."""

from contextlib import suppress
from pathlib import Path

import psutil
from node_fsm_sandbox.election.cluster import Cluster, Member
from node_fsm_sandbox.election.outside import Servers
from sqlalchemy import text

from node_fsm.programs import leash
from tests.soak.figures import Figures
from tests.support.processes import command_of

MEMORY_LIMIT = 200.0
"""KiB an election. Python's heap is flat (see tests.soak.virtual); what an allocator holds of what was freed fills up
over a hundred elections and more. What leaks by objects, each election again, still shows above that."""

COUNT_LIMIT = 0.02
"""Of what is counted: one more in fifty elections."""

_CONNECTIONS = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'node-fsm'")


async def measure(figures: Figures, cluster: Cluster, servers: Servers, held: int) -> None:
    """Note how all is after *held* elections."""
    for member in cluster.members:
        _measure_service(figures, member, held)
    async with servers.session.transaction("soak", snapshot=True) as connection:
        connections = (await connection.execute(_CONNECTIONS)).scalar_one()
    figures.note("connections to the database", "connections", connections, held=held, limit=COUNT_LIMIT)
    storage = sum(_size(member.storage) for member in cluster.members)
    figures.note("storage of all services", "KiB", storage / 1024, held=held, limit=1.0)


def _measure_service(figures: Figures, member: Member, held: int) -> None:
    name, process = f"{member.hostname} life {member.service.starts}", member.service.process
    memory = process.memory_full_info()
    counts = {
        "descriptors": process.num_fds(),
        "threads": process.num_threads(),
        "children": len(process.children(recursive=True)),
    }
    figures.note(f"{name}: resident", "KiB", memory.rss / 1024, held=held, limit=MEMORY_LIMIT)
    figures.note(f"{name}: its own", "KiB", memory.uss / 1024, held=held, limit=MEMORY_LIMIT)
    for what, count in counts.items():
        figures.note(f"{name}: {what}", what, count, held=held, limit=COUNT_LIMIT)


def node_of(member: Member) -> psutil.Process | None:
    """The node of a service, if it runs: not the leash that holds it, and no command that runs beside it."""
    with suppress(psutil.NoSuchProcess):  # the service itself may be away
        for child in member.service.process.children(recursive=True):
            command = command_of(child)
            if "--genesis-block-hash" in command and leash.__file__ not in command:
                return child
    return None


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
