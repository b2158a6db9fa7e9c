"""Several leaders and a follower run one chain, through kills, lost disks and withdrawn elections."""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import httpx
import pytest

from node_fsm.ports.answers import FragmentState
from tests.contract.binaries import Binaries
from tests.support.bucket import Bucket
from tests.support.cluster import Cluster, Member
from tests.support.election import Ballot, DrawnElection, Voter
from tests.support.polling_station import PollingStation
from tests.support.wallet import new_wallet
from tests.system.conftest import on_the_real_node

TALLYING = 60


@pytest.fixture
def cluster(binaries: Binaries, tmp_path: Path, database_url: str, s3_bucket: Bucket) -> Iterator[Cluster]:
    cluster = Cluster(binaries, tmp_path, database_url, s3_bucket)
    yield cluster
    cluster.end()


@pytest.fixture
def join(cluster: Cluster) -> Callable[[str], Member]:
    """Adds a member: a leader, unless it is called a follower."""

    def add(hostname: str) -> Member:
        is_leader = "follower" not in hostname
        return cluster.add(hostname, asyncio.run(new_wallet(cluster.binaries.jcli, "ed25519")) if is_leader else None)

    return add


def voters(cluster: Cluster, count: int) -> list[Voter]:
    """Voters with powers 10, 20, 30..."""

    async def make() -> list[Voter]:
        return [Voter(await new_wallet(cluster.binaries.jcli), 10 * (number + 1)) for number in range(count)]

    return asyncio.run(make())


def post_election(cluster: Cluster, election: DrawnElection) -> None:
    file, voters_file = election.write(cluster.directory)
    cluster.cli("election", "import", str(file), "--voters", str(voters_file))


def station_of(cluster: Cluster, member: Member) -> PollingStation:
    return PollingStation(cluster.binaries.jcli, member.rest_url, cluster.directory)


def counted(member: Member) -> list[list[int]]:
    """What a node itself says of the plan's votes."""
    (plan,) = httpx.get(f"{member.rest_url}/v0/vote/active/plans", trust_env=False).json()
    return [proposal["tally"]["Public"]["result"]["results"] for proposal in plan["proposals"]]


def in_blocks(station: PollingStation, ballots: list[Ballot], plan_id: str) -> None:
    """Cast votes, and wait until they are in blocks."""
    outcomes = station.outcomes(station.cast(ballots, plan_id), 30)
    assert {status.state for status in outcomes} == {FragmentState.IN_A_BLOCK}, outcomes


def assert_ended(cluster: Cluster, election: DrawnElection) -> None:
    """Results as drawn, one final archive that verifies, everybody waiting and nothing left behind."""
    leader0 = cluster.members["leader0"]
    leader0.service.wait_for(120, phase="Waiting", election=None)
    for member in cluster.members.values():
        member.service.wait_for(60, phase="Waiting", election=None)
        assert list((member.storage / "elections").iterdir()) == [], member.hostname
    shown = json.loads(cluster.cli("election", "show", election.name, "--json"))
    (plan,) = shown["plans"]
    assert list(plan["results"].values()) == election.expected()
    assert plan["on_chain"]
    (archive,) = [archive for archive in shown["archives"] if archive["kind"] == "final"]
    assert "whole" in cluster.cli("verify", archive["uri"])


@on_the_real_node  # on the stand-ins the demo does this
@pytest.mark.timeout(300)
def test_a_cluster_runs_an_election_while_a_leader_is_killed(cluster: Cluster, join: Callable[[str], Member]) -> None:
    leader0, leader1, leader2, follower = (join(name) for name in ("leader0", "leader1", "leader2", "follower"))
    election = DrawnElection("first", voters(cluster, 10), seed=3)
    cluster.start()
    for member in cluster.members.values():
        member.service.wait_for(30, phase="Waiting")
    election.schedule(lead=14, voting=45, tallying=TALLYING)
    post_election(cluster, election)
    station = station_of(cluster, follower)
    station.wait_for_time(election.voting_start, 90)
    (plan_id,) = station.plan_ids()
    ballots = election.ballots()
    third = len(ballots) // 3
    in_blocks(station, ballots[:third], plan_id)
    leader1.kill_with_node()
    in_blocks(station, ballots[third : 2 * third], plan_id)
    leader1.service.start()
    leader1.service.wait_for(60, phase="Running", election=election.name)
    station_of(cluster, leader1).wait_for_time(election.voting_start, 30)
    in_blocks(station, ballots[2 * third :], plan_id)
    twice = station.cast([replace(ballots[0], choice=(ballots[0].choice + 1) % 3, counter=2)], plan_id)
    (refusal,) = station_of(cluster, leader0).outcomes(twice)  # a follower tries none itself
    assert "already voted" in (refusal.reason or "")
    station.wait_for_time(election.voting_end, 60)
    station.cast([replace(ballots[0], voter=election.late, proposal=1, choice=0, counter=1)], plan_id)
    for member in (leader1, leader2, follower):
        station_of(cluster, member).wait_for_time(election.voting_end, 30)
        assert counted(member) == election.expected(), member.hostname
        conditions = {condition["type"] for condition in (member.service.state() or {})["conditions"]}
        assert conditions <= {"sandbox"}, member.hostname
    assert_ended(cluster, election)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("peers", ["down", "up"])
def test_a_leader_0_that_lost_its_disk_loses_no_vote(
    cluster: Cluster, join: Callable[[str], Member], peers: str
) -> None:
    """Started while its peers are down it waits for one that has the chain, instead of beginning it anew."""
    leader0, leader1 = (join(name) for name in ("leader0", "leader1"))
    election = DrawnElection("first", voters(cluster, 6), seed=4)
    cluster.start()
    for member in cluster.members.values():
        member.service.wait_for(30, phase="Waiting")
    election.schedule(lead=14, voting=80 if peers == "down" else 45, tallying=TALLYING)
    post_election(cluster, election)
    station = station_of(cluster, leader1)
    station.wait_for_time(election.voting_start, 90)
    (plan_id,) = station.plan_ids()
    ballots = election.ballots()
    in_blocks(station, ballots[:6], plan_id)
    leader0.service.wait_until(lambda _: recorded_height(cluster, "leader1") > 0, 30)
    if peers == "down":
        leader1.service.terminate()
    leader0.kill_with_node()
    (storage,) = leader0.storage.glob("elections/*/*/storage")
    shutil.rmtree(storage)
    leader0.service.start()
    if peers == "down":
        assert leader0.service.wait_for_condition("node_not_running", 60)["reason"] == "NodeBootstraps"
        leader1.service.start()
    for member in (leader0, leader1):
        member.service.wait_for(60, phase="Running", election=election.name)
        station_of(cluster, member).wait_for_time(election.voting_start, 60)
    in_blocks(station_of(cluster, leader0), ballots[6:], plan_id)
    station.wait_for_time(election.voting_end, 90)
    assert counted(leader1) == election.expected()
    assert_ended(cluster, election)


def recorded_height(cluster: Cluster, hostname: str) -> int:
    """How much of a chain a machine holds by the database's record."""

    async def ask() -> int:
        connection = await asyncpg.connect(cluster.database_url.replace("+asyncpg", ""))
        try:
            return await connection.fetchval("SELECT max(height) FROM chain_copy WHERE hostname = $1", hostname) or 0
        finally:
            await connection.close()

    return asyncio.run(ask())


@pytest.mark.timeout(300)
def test_a_withdrawn_block_0_ends_the_chain_everywhere_and_the_next_one_begins(
    cluster: Cluster, join: Callable[[str], Member]
) -> None:
    leader0, leader1, follower = (join(name) for name in ("leader0", "leader1", "follower"))
    first, second = (DrawnElection(name, voters(cluster, 5), seed=5) for name in ("first", "second"))
    cluster.start()
    for member in cluster.members.values():
        member.service.wait_for(30, phase="Waiting")
    first.schedule(lead=8, voting=200, tallying=TALLYING)
    post_election(cluster, first)
    for member in cluster.members.values():
        member.service.wait_for(60, phase="Running", election="first")
        station_of(cluster, member).wait_for_time(first.voting_start, 60)
    cluster.cli("election", "cancel", "first")
    for member in (leader1, follower, leader0):
        member.service.wait_for(60, phase="Waiting", election=None)
    second.schedule(lead=14, voting=20, tallying=TALLYING)
    post_election(cluster, second)
    station = station_of(cluster, follower)
    station.wait_for_time(second.voting_start, 90)
    (plan_id,) = station.plan_ids()
    in_blocks(station, second.ballots(), plan_id)
    assert_ended(cluster, second)
