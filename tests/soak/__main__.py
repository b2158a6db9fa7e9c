"""Elections in a row on a leader 0, a leader and a follower, whose processes are killed at random moments.

    python -m tests.soak --elections 200

It ends with 0 when each election ended as it was drawn, and nothing that was measured has grown. In the first half
services and nodes are killed, in the second half nodes alone: so the services live long enough to be measured.
"""

import argparse
import asyncio
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from node_fsm_sandbox.demo.directories import Directories, directories
from node_fsm_sandbox.demo.signals import InterruptedBySignalError, until_signalled
from node_fsm_sandbox.election.binaries import Binaries
from node_fsm_sandbox.election.cluster import Cluster, Member, closing
from node_fsm_sandbox.election.concurrency import alongside
from node_fsm_sandbox.election.draw import draw_election, draw_voters
from node_fsm_sandbox.election.environment import isolate
from node_fsm_sandbox.election.importing import import_files, write_election, write_template
from node_fsm_sandbox.election.outside import Servers, running_servers
from node_fsm_sandbox.election.part import follower, leader, leader0

from node_fsm.block0.template import load_template
from tests.soak.election import CHAIN_LEAD, HeldElection, Victim, draw_kills, times_now
from tests.soak.figures import Figures
from tests.soak.processes import measure

VOTERS = 12
BUCKET = "soak"
LOG_LINES = 60
WARM = 10
"""Elections in the life of a service that say nothing of its memory yet."""

OFFSET_MINUTES = -CHAIN_LEAD / 60


@dataclass
class Soak:
    """What came of it."""

    random: Random
    elections: int
    figures: Figures = field(default_factory=lambda: Figures(WARM))
    problems: list[str] = field(default_factory=list)
    killed: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    held: int = 0

    async def run(self) -> None:
        """Set the world up, hold the elections, leave nothing behind."""
        binaries = await Binaries.find(None, None)
        with directories(None) as places:
            write_template(places.work / "block0_template.yaml")
            async with running_servers(BUCKET) as servers:
                settings = {
                    "NODE_FSM_BLOCK0_TEMPLATE": str(places.work / "block0_template.yaml"),
                    "NODE_FSM_JCLI_PATH": str(binaries.jcli),
                    "NODE_FSM_JORM_PATH": str(binaries.jormungandr),
                    "NODE_FSM_VOTING_START_OFFSET_MINUTES": str(OFFSET_MINUTES),
                }
                async with closing(Cluster(servers.outside, places.work, places.temporary, settings)) as cluster:
                    await cluster.add(leader0(), leader("leader1"), follower("follower"))
                    await cluster.start()
                    watched = (server.watch() for server in servers.running)
                    await alongside(self._hold_all(cluster, servers, places), *watched)
                    self.problems += await cluster.stop()

    async def _hold_all(self, cluster: Cluster, servers: Servers, places: Directories) -> None:
        began = time.monotonic()
        while self.held < self.elections and not self.problems:
            await self._hold_one(cluster, servers, places)
            self.held += 1
            await measure(self.figures, cluster, servers, self.held)
            if self.held % 10 == 0:
                print(f"{self.held} elections, {(time.monotonic() - began) / self.held:.1f} s each", flush=True)

    async def _hold_one(self, cluster: Cluster, servers: Servers, places: Directories) -> None:
        name = f"election {self.held + 1}"
        drawn = draw_election(name, times_now(), draw_voters(self.random, VOTERS), self.random)
        file, voters = write_election(drawn, places.work / "elections" / name)
        template = load_template(places.work / "block0_template.yaml")
        await import_files(servers.session, file, voters, template, OFFSET_MINUTES)
        victims = tuple(Victim) if self.held < self.elections / 2 else (Victim.NODE,)
        election = HeldElection(drawn, cluster.members, servers.session, self.random)
        try:
            self.problems += await election.hold(draw_kills(self.random, victims, len(cluster.members)))
        except TimeoutError:
            states = [await member.service.state() for member in cluster.members]
            self.problems.append(f"{name} does not end after {election.killed}: {states}")
        self.killed.update(election.killed)
        self.lost += election.lost
        if self.problems:
            self.problems += [f"killed were {election.killed}", *map(_tail, cluster.members)]


def _tail(member: Member) -> str:
    lines = member.service.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
    return "\n".join([f"==== {member.hostname} ====", *lines])


def main() -> int:
    """0 when all is as it must be."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--elections", type=int, default=200)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6, help="of draws and kills")
    asked = parser.parse_args()
    isolate(os.environ)
    soak = Soak(Random(asked.seed), asked.elections)
    print(f"seed {asked.seed}", flush=True)
    try:
        asyncio.run(until_signalled(soak.run()))
    except InterruptedBySignalError as error:
        print(error)
    print("\n".join(soak.figures.table()))
    for what, number in sorted(soak.killed.items()):
        print(f"{number:5} {what}")
    wrong = [*soak.problems, *soak.figures.growing()]
    print(f"{soak.held} elections, {soak.lost} votes on record as lost, {len(wrong)} faults", *wrong, sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
