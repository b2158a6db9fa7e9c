"""Several leaders and a follower run one chain, through kills, lost disks and withdrawn elections."""

import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest
import pytest_asyncio
import yaml
from node_fsm_sandbox.election.cluster import Cluster, Member
from node_fsm_sandbox.election.draw import Ballot, DrawnElection, draw_voters
from node_fsm_sandbox.election.importing import write_election
from node_fsm_sandbox.election.outside import Outside
from node_fsm_sandbox.election.part import follower, leader, leader0
from node_fsm_sandbox.election.polling_station import PollingStation

from node_fsm.core.phases import Role
from node_fsm.ports.answers import FragmentState
from tests.contract.binaries import Binaries
from tests.support.bucket import Bucket
from tests.support.polling import HANGING
from tests.support.roles import DatabaseRole
from tests.support.template import TEMPLATE
from tests.system.conftest import draw, on_the_real_node, run_cli, show_logs, sql, until

TALLYING = 60


class ClusterOfTests(Cluster):
    """Members whose peers are named by DNS, an operator's command line, and what a test looks at."""

    def __init__(self, outside: Outside, directory: Path, settings: dict[str, str]) -> None:
        super().__init__(outside, directory, directory, settings)
        self.directory = directory

    async def begin(self, *hostnames: str) -> Sequence[Member]:
        """Start these members: leaders, unless they are called followers; they wait on return.

        Each has the rights of its role in the database and no others.
        """
        roles = {"leader0": lambda _: leader0(), "follower": follower}
        members = await self.add(*(roles.get(hostname, leader)(hostname) for hostname in hostnames))
        for member in members:
            settings = member.service.settings
            port = settings["NODE_FSM_NODE_P2P_LISTEN"].rpartition(":")[2]
            settings["NODE_FSM_NODE_P2P_ADVERTISE"] = f"/dns4/localhost/tcp/{port}"
            role = DatabaseRole.LEADER0 if member.part.role is Role.LEADER0 else DatabaseRole.NODE
            settings["NODE_FSM_DATABASE_URL"] = role.url(self.outside.database_url)
        await self.start()
        for member in members:
            await member.service.wait_for(HANGING, phase="Waiting")
        return members

    def cli(self, *arguments: str) -> str:
        """What a command of the command line prints, with the rights of an operator."""
        return run_cli(self.settings_of(DatabaseRole.OPERATOR), self.directory, *arguments)

    def settings_of(self, role: DatabaseRole) -> dict[str, str]:
        """The common settings, with the database as *role* has it."""
        return self.settings | {"NODE_FSM_DATABASE_URL": role.url(self.outside.database_url)}

    def post_election(self, election: DrawnElection) -> None:
        """Import a drawn election with the command line."""
        file, voters = write_election(election, self.directory / "elections" / election.name)
        self.cli("election", "import", str(file), "--voters", str(voters))

    def shown(self, election: DrawnElection) -> dict[str, Any]:
        """What the command line shows of an election."""
        return dict(json.loads(self.cli("election", "show", election.name, "--output", "json")))

    def results(self, election: DrawnElection) -> dict[str, list[int]]:
        """The posted votes of all plans by the questions' external ids."""
        return {
            question: votes for plan in self.shown(election)["plans"] for question, votes in plan["results"].items()
        }

    async def assert_ended(self, election: DrawnElection) -> None:
        """Results as drawn, one final archive that verifies, everybody waiting and nothing left behind."""
        for member in self.members:
            await member.service.wait_until_idle(HANGING)
            assert list((member.storage / "elections").iterdir()) == [], member.hostname
        shown = self.shown(election)
        assert self.results(election) == election.expected()
        assert all(plan["on_chain"] for plan in shown["plans"])
        (archive,) = [archive for archive in shown["archives"] if archive["kind"] == "final"]
        assert "whole" in self.cli("verify", archive["uri"])


@pytest_asyncio.fixture
async def cluster(
    binaries: Binaries, tmp_path: Path, database_url: str, s3_bucket: Bucket
) -> AsyncIterator[ClusterOfTests]:
    """A cluster without members yet; their logs are shown when the test fails."""
    template = tmp_path / "template.yaml"
    template.write_text(yaml.safe_dump(TEMPLATE))
    settings = {
        "NODE_FSM_BLOCK0_TEMPLATE": str(template),
        "NODE_FSM_JCLI_PATH": str(binaries.jcli),
        "NODE_FSM_JORM_PATH": str(binaries.jormungandr),
        "NODE_FSM_VOTING_START_OFFSET_MINUTES": "-0.1",
        "NODE_FSM_LOG_LEVEL": "DEBUG",
    }
    outside = Outside(database_url, s3_bucket.endpoint_url, s3_bucket.name)
    cluster = ClusterOfTests(outside, tmp_path, settings)
    try:
        yield cluster
    finally:
        await cluster.close()
        show_logs(member.service for member in cluster.members)


def station_of(member: Member) -> PollingStation:
    return PollingStation(member.node, [])


async def kill_with_node(member: Member) -> None:
    """SIGKILL for the service and for the node, at one moment: the machine lost its power."""
    service = member.service.process
    service.suspend()  # so that it does not start another node in between
    for process in service.children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # a command that has ended
            process.kill()
    await member.service.kill()


async def counted(member: Member) -> list[list[int]]:
    """What a node itself says of the plan's votes."""
    (plan,) = (await member.node.vote_plans()).values()
    return [list(proposal.results or ()) for proposal in plan.proposals]


async def in_blocks(station: PollingStation, ballots: Sequence[Ballot]) -> None:
    """Cast votes, and wait until they are in blocks."""
    outcomes = await station.settled(await station.cast(ballots), HANGING)
    assert {status.state for status in outcomes} == {FragmentState.IN_A_BLOCK}, outcomes


@on_the_real_node  # on the stand-ins the demo does this
async def test_a_cluster_runs_an_election_while_a_leader_is_killed(cluster: ClusterOfTests) -> None:
    first, second, third, last = await cluster.begin("leader0", "leader1", "leader2", "follower")
    election = draw("first", draw_voters(Random(3), 10), lead=14, voting=45, tallying=TALLYING)
    cluster.post_election(election)
    station = station_of(last)
    await station.wait_for_tip(election.times.voting_start, HANGING)
    ballots = election.ballots
    part = len(ballots) // 3
    await in_blocks(station, ballots[:part])
    await kill_with_node(second)
    await in_blocks(station, ballots[part : 2 * part])
    await second.service.start()
    await second.service.wait_for(HANGING, phase="Running", election=election.name)
    await station_of(second).wait_for_tip(election.times.voting_start, HANGING)
    await in_blocks(station, ballots[2 * part :])
    again = await station.cast([election.again])
    (refusal,) = await station_of(first).settled(again, HANGING)  # a follower tries none itself
    assert "already voted" in (refusal.reason or "")
    await station.wait_for_tip(election.times.voting_end, HANGING)
    await station.cast([election.late])
    for member in (second, third, last):
        await station_of(member).wait_for_tip(election.times.voting_end, HANGING)
        assert await counted(member) == list(election.expected().values()), member.hostname
        state = await member.service.wait_until(lambda _: True, HANGING)
        assert {condition.type for condition in state.conditions} <= {"sandbox"}, member.hostname
    await cluster.assert_ended(election)


@pytest.mark.parametrize("peers", ["down", "up"])
async def test_a_leader_0_that_lost_its_disk_loses_no_vote(cluster: ClusterOfTests, peers: str) -> None:
    """Started while its peers are down it waits for one that has the chain, instead of beginning it anew."""
    first, other = await cluster.begin("leader0", "leader1")
    voting = 80 if peers == "down" else 45
    election = draw("first", draw_voters(Random(4), 6), lead=14, voting=voting, tallying=TALLYING)
    cluster.post_election(election)
    station = station_of(other)
    await station.wait_for_tip(election.times.voting_start, HANGING)
    ballots = election.ballots
    await in_blocks(station, ballots[:5])
    recorded = "SELECT max(height) > 0 FROM chain_copy WHERE hostname = 'leader1'"
    await until(lambda: sql(cluster.outside, recorded))
    if peers == "down":
        await other.service.stop()
    await kill_with_node(first)
    (storage,) = first.storage.glob("elections/*/*/storage")
    shutil.rmtree(storage)
    await first.service.start()
    if peers == "down":
        assert (await first.service.wait_for_condition("node_not_running", HANGING)).reason == "NodeBootstraps"
        await other.service.start()
    for member in (first, other):
        await member.service.wait_for(HANGING, phase="Running", election=election.name)
        await station_of(member).wait_for_tip(election.times.voting_start, HANGING)
    await in_blocks(station_of(first), ballots[5:])
    await station.wait_for_tip(election.times.voting_end, HANGING)
    assert await counted(other) == list(election.expected().values())
    await cluster.assert_ended(election)


async def test_a_withdrawn_block_0_ends_the_chain_everywhere_and_the_next_one_begins(cluster: ClusterOfTests) -> None:
    await cluster.begin("leader0", "leader1", "follower")
    voters = draw_voters(Random(5), 5)
    first = draw("first", voters, lead=8, voting=200, tallying=TALLYING)
    cluster.post_election(first)
    for member in cluster.members:
        await member.service.wait_for(HANGING, phase="Running", election="first")
        await station_of(member).wait_for_tip(first.times.voting_start, HANGING)
    cluster.cli("election", "cancel", "first", "--yes")
    for member in cluster.members:
        await member.service.wait_until_idle(HANGING)
    second = draw("second", voters, lead=14, voting=20, tallying=TALLYING)
    cluster.post_election(second)
    station = station_of(cluster.members[-1])
    await station.wait_for_tip(second.times.voting_start, HANGING)
    await in_blocks(station, second.ballots)
    await cluster.assert_ended(second)
