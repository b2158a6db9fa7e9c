"""Records what Prometheus reads of a cluster through an undisturbed election: ``python -m tests.monitoring.record``.

The stand-ins hold the election, in a minute and a half. It wants a machine that does nothing else: a service that takes
ten seconds to start is taken for one that is down. Timestamps are written relative to the beginning.
"""

import asyncio
import os
import time
from collections import ChainMap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import httpx
from node_fsm_sandbox.election.binaries import Binaries
from node_fsm_sandbox.election.cluster import Cluster, Member, closing
from node_fsm_sandbox.election.concurrency import together
from node_fsm_sandbox.election.draw import draw_election, draw_voters
from node_fsm_sandbox.election.environment import isolate
from node_fsm_sandbox.election.importing import import_files, write_election, write_template
from node_fsm_sandbox.election.outside import Servers, running_servers
from node_fsm_sandbox.election.part import follower, leader, leader0
from node_fsm_sandbox.election.polling_station import PollingStation
from node_fsm_sandbox.election.schedule import Times

from node_fsm.block0.template import load_template
from node_fsm.core.phases import Phase
from tests.monitoring.series import Series, scraped, written

FILE = Path(__file__).with_name("undisturbed.txt")

CHAIN_LEAD, IDLE, VOTING, TALLYING = 20, 10, 25, 25
"""Seconds from the chain's start to voting, before the chain's start, for voting, for tallying."""

HANGING = 120.0


async def record() -> None:
    """Hold the election, and write what was read to FILE."""
    isolate(os.environ)
    with TemporaryDirectory() as directory:
        async with running_servers("recording") as servers, _cluster(servers, Path(directory)) as cluster:
            scraping = asyncio.create_task(_scrape(cluster.members))
            await cluster.start()
            await together(*(_waits(member) for member in cluster.members))
            await _hold_election(cluster, servers, Path(directory))
            scraping.cancel()
            FILE.write_text("\n".join(_lines(await scraping)) + "\n")


@asynccontextmanager
async def _cluster(servers: Servers, directory: Path) -> AsyncIterator[Cluster]:
    template = directory / "template.yaml"
    write_template(template)
    binaries = await Binaries.find(None, None)
    settings = {
        "NODE_FSM_BLOCK0_TEMPLATE": str(template),
        "NODE_FSM_JCLI_PATH": str(binaries.jcli),
        "NODE_FSM_JORM_PATH": str(binaries.jormungandr),
        "NODE_FSM_VOTING_START_OFFSET_MINUTES": str(-CHAIN_LEAD / 60),
    }
    async with closing(Cluster(servers.outside, directory, directory, settings)) as cluster:
        await cluster.add(leader0(), leader("leader1"), follower("follower"))
        yield cluster


async def _waits(member: Member) -> None:
    await member.service.wait_for(HANGING, phase=Phase.WAITING, election=None)


async def _hold_election(cluster: Cluster, servers: Servers, directory: Path) -> None:
    begin = datetime.now(UTC) + timedelta(seconds=IDLE + CHAIN_LEAD)
    times = Times.of(begin, voting=VOTING, tallying=TALLYING)
    election = draw_election("first", times, draw_voters(Random(1), 6), Random(1))
    file, voters = write_election(election, directory / "election")
    template = load_template(directory / "template.yaml")
    await import_files(servers.session, file, voters, template, -CHAIN_LEAD / 60)
    await together(*(member.service.wait_for(HANGING, phase=Phase.RUNNING) for member in cluster.members))
    leaders = [member.node for member in cluster.members if member.part.wallet]
    station = PollingStation(cluster.members[-1].node, leaders)
    await station.wait_for_tip(times.voting_start, HANGING)
    await station.settled(await station.cast(election.ballots), HANGING)
    await together(*(_waits(member) for member in cluster.members))
    await asyncio.sleep(IDLE)


async def _scrape(members: list[Member]) -> list[dict[Series, float]]:
    """Read all services once a second until cancelled; timestamps are relative to the first reading."""
    readings: list[dict[Series, float]] = []
    began = time.time()
    try:
        while True:
            found = await asyncio.gather(*(_reading(member, began) for member in members))
            readings.append(dict(ChainMap(*found)))
            await asyncio.sleep(began + len(readings) - time.time())
    except asyncio.CancelledError:
        return readings


async def _reading(member: Member, began: float) -> dict[Series, float]:
    """What Prometheus would have of one service now."""
    target = {"job": "node-fsm", "instance": member.hostname}
    try:
        text = await member.service.metrics()
    except httpx.HTTPError:
        return {Series.of("up", target): 0}
    return {Series.of("up", target): 1} | {
        series.with_labels(**target): _shortened(series, value, began)
        for series, value in scraped(text).items()
        if series.name.startswith("node_fsm_") and not series.name.endswith("_bucket")
    }


def _shortened(series: Series, value: float, began: float) -> float:
    if series.name.endswith("_timestamp_seconds"):
        return round(value - began, 1)
    return round(value, -9 if series.name == "node_fsm_storage_free_bytes" else 3)


def _lines(readings: list[dict[Series, float]]) -> list[str]:
    found = sorted({series for reading in readings for series in reading})
    return [f"{series} {written([reading.get(series) for reading in readings])}" for series in found]


if __name__ == "__main__":
    asyncio.run(record())
