"""The whole play: the world is set up, two elections are held, everything is stopped, and what came of it gathered."""

from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random

from node_fsm.block0.template import load_template
from node_fsm.core.phases import Phase
from node_fsm_sandbox.demo.act import Act
from node_fsm_sandbox.demo.directories import Directories
from node_fsm_sandbox.demo.display import Display
from node_fsm_sandbox.demo.gathering import election_outcome, journal
from node_fsm_sandbox.demo.observer import Observer, in_phase
from node_fsm_sandbox.demo.outcome import ElectionOutcome, NodeOutcome, Outcome
from node_fsm_sandbox.demo.schedule import LEAD, OFFSET_MINUTES, schedule
from node_fsm_sandbox.election.binaries import Binaries
from node_fsm_sandbox.election.cluster import Cluster, closing
from node_fsm_sandbox.election.committee import new_committee
from node_fsm_sandbox.election.concurrency import alongside
from node_fsm_sandbox.election.draw import DrawnElection, draw_election, draw_voters
from node_fsm_sandbox.election.importing import import_files, write_election, write_template
from node_fsm_sandbox.election.outside import Servers, running_servers
from node_fsm_sandbox.election.part import follower, leader, leader0

NAMES = ("first", "second")
VOTERS = 24
MEMBERS = 3

_BUCKET = "demo"


class Performance:
    """One run of the demo; *outcome* is filled in as far as it gets."""

    def __init__(
        self, binaries: Binaries, places: Directories, display: Display, random: Random, outcome: Outcome
    ) -> None:
        self._binaries = binaries
        self._places = places
        self._display = display
        self._random = random
        self._outcome = outcome
        self._template = places.work / "block0_template.yaml"

    async def run(self) -> None:
        """From nothing to nothing: no process of it is left afterwards, however it ends."""
        write_template(self._template)
        self._display.tell("starting Postgres and S3, migrating, making keys")
        async with running_servers(_BUCKET) as servers:
            async with closing(self._cluster(servers)) as cluster:
                await cluster.add(leader0(), leader("leader1"), follower("follower"))
                self._display.tell("starting a service for each of three nodes")
                await cluster.start()
                observer = Observer(cluster.members, self._display)
                elections = await alongside(
                    self._hold_elections(cluster, servers, observer),
                    observer.run(),
                    *(server.watch() for server in servers.running),
                    *(member.service.watch() for member in cluster.members),
                )
                self._display.tell("stopping the services, verifying the archives")
                self._outcome.problems += await cluster.stop()
            await self._gather(elections, cluster, servers)

    def _cluster(self, servers: Servers) -> Cluster:
        settings = {
            "NODE_FSM_BLOCK0_TEMPLATE": str(self._template),
            "NODE_FSM_JCLI_PATH": str(self._binaries.jcli),
            "NODE_FSM_JORM_PATH": str(self._binaries.jormungandr),
            "NODE_FSM_VOTING_START_OFFSET_MINUTES": str(OFFSET_MINUTES),
        }
        return Cluster(servers.outside, self._places.work, self._places.temporary, settings)

    async def _hold_elections(self, cluster: Cluster, servers: Servers, observer: Observer) -> Sequence[DrawnElection]:
        waiting = in_phase(Phase.WAITING)
        await observer.until(waiting)
        elections = await self._import_elections(servers)
        self._display.tell(
            f"two elections are imported, the second one private; voting in {NAMES[0]} begins in {LEAD} s"
        )
        leader0, leader1, _ = cluster.members
        for election, victim in zip(elections, (leader1, leader0), strict=True):
            act = Act(
                election,
                cluster.members,
                victim,
                observer,
                self._display,
                cluster.settings,
                self._places.temporary,
            )
            self._outcome.problems += await act.play()
        await observer.until(waiting)
        self._display.tell(f"all nodes are back in {Phase.WAITING}")
        return elections

    async def _import_elections(self, servers: Servers) -> list[DrawnElection]:
        """Draw two elections and import them both now: nobody touches anything between them.

        The second is voted on in private, and opened by a committee of three who keep their keys.
        """
        voters = draw_voters(self._random, VOTERS)
        committee = await new_committee(self._binaries.jcli, MEMBERS, self._places.work / "committee")
        template = load_template(self._template)
        elections = []
        for name, times in zip(NAMES, schedule(datetime.now(UTC)), strict=True):
            private = () if name == NAMES[0] else committee
            election = draw_election(name, times, voters, self._random, private, public=0 if private else None)
            file, voters_file = write_election(election, self._places.work / "elections" / name)
            await import_files(servers.session, file, voters_file, template, OFFSET_MINUTES)
            self._outcome.elections.append(ElectionOutcome(election))
            elections.append(election)
        return elections

    async def _gather(self, elections: Sequence[DrawnElection], cluster: Cluster, servers: Servers) -> None:
        """Read what came of it, and compare; the services have written all they know."""
        outcome = self._outcome
        outcome.elections = [await election_outcome(drawn, servers, self._places) for drawn in elections]
        steps = await journal(servers.session)
        outcome.nodes = [
            NodeOutcome(member.hostname, member.part.kind, member.service.restarts, steps[member.hostname])
            for member in cluster.members
        ]
        for election in outcome.elections:
            outcome.problems += election.problems()
        for node in outcome.nodes:
            outcome.problems += node.problems(NAMES)
