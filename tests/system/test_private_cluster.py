"""Private votes, end to end: members who keep their keys, one of them late, and leader 0 killed at the worst moment."""

import asyncio
from collections.abc import Callable
from random import Random

from node_fsm_sandbox.election.cluster import Member
from node_fsm_sandbox.election.committee import new_committee
from node_fsm_sandbox.election.draw import draw_election, draw_voters
from node_fsm_sandbox.election.polling_station import PollingStation
from node_fsm_sandbox.election.schedule import Times
from node_fsm_sandbox.failpoints.armed import SETTING

from node_fsm.core.errors import ServiceError
from node_fsm.core.payload_type import PayloadType
from node_fsm.core.phases import Phase
from node_fsm.sidecar.answers import State
from tests.contract.binaries import Binaries
from tests.support.executable import write_executable
from tests.support.polling import HANGING
from tests.support.roles import DatabaseRole
from tests.system.conftest import draw, sql, until
from tests.system.test_cluster import TALLYING, ClusterOfTests, cluster, in_blocks, station_of

__all__ = ["cluster"]

VOTERS = 14
VOTING, NEXT = 50, 75

PAUSING_JCLI = """
import os, sys, time
while sys.argv[1:5] == ["certificate", "new", "vote-tally", "private"] and os.path.exists({pause!r}):
    time.sleep(0.05)
os.execv({jcli!r}, sys.argv)
"""


async def opened(member: Member) -> dict[str, list[int]]:
    """What the node says of each question, once it knows the votes of all: private ones from the tally on the chain."""
    async with asyncio.timeout(3 * HANGING):  # leader 0 is killed and started again meanwhile
        while True:
            try:
                plans = (await member.node.vote_plans()).values()
                proposals = [proposal for plan in plans for proposal in plan.proposals]
                if proposals and all(proposal.results for proposal in proposals):
                    return {proposal.id: list(proposal.results or ()) for proposal in proposals}
            except ServiceError:
                pass  # it starts
            await asyncio.sleep(0.1)


def awaits(*members: int) -> Callable[[State], bool]:
    """Whether leader 0 says that it waits for just these members."""
    return lambda state: state.private_tally is not None and state.private_tally.awaited == list(members)


async def test_members_who_keep_their_keys_open_private_votes_though_leader_0_is_killed(
    binaries: Binaries, cluster: ClusterOfTests
) -> None:
    pause = cluster.directory / "pause"
    first, second, third, last = await cluster.begin("leader0", "leader1", "leader2", "follower")
    pausing = PAUSING_JCLI.format(pause=str(pause), jcli=str(binaries.jcli))
    first.service.settings["NODE_FSM_JCLI_PATH"] = str(write_executable(cluster.directory / "pausing-jcli", pausing))
    await first.service.stop()
    await first.service.start()
    members = await new_committee(binaries.jcli, 3, cluster.directory / "committee")
    voters = draw_voters(Random(6), VOTERS)
    times = Times.soon(20, voting=VOTING, tallying=TALLYING)
    election = draw_election("mixed", times, voters, Random(2), members, public=1)
    cluster.post_election(election)
    following = draw("next", voters, lead=20 + VOTING + NEXT, voting=20, tallying=TALLYING)
    cluster.post_election(following)

    station = PollingStation(last.node, [], binaries.jcli)
    await station.wait_for_tip(election.times.voting_start, HANGING)
    assert len(election.ballots) >= 24
    assert {ballot.question.payload_type for ballot in election.ballots} == set(PayloadType)
    await in_blocks(station, election.ballots)
    state = await first.service.wait_until(lambda _: True, HANGING)
    assert state.private_tally is None, "nothing is asked of members while people vote"

    pause.touch()
    await first.service.wait_until(awaits(0, 1, 2), HANGING)
    for member in members[:2]:
        await member.post_share(election.name, cluster.settings_of(DatabaseRole.MEMBER), cluster.directory)
    await first.service.wait_until(awaits(2), HANGING)
    said = asyncio.gather(*map(opened, (second, third, last)))
    await members[2].post_share(election.name, cluster.settings_of(DatabaseRole.MEMBER), cluster.directory)
    await until(lambda: sql(cluster.outside, "SELECT count(*) > 0 FROM vote_plan WHERE decrypted IS NOT NULL"))
    await first.service.kill()
    pause.unlink()
    archive_waits = cluster.directory / "archive-waits"  # the nodes end with it, and are to be asked before
    archive_waits.touch()
    first.service.settings[SETTING] = f"phase.{Phase.ARCHIVING}:before=pause:{archive_waits}"
    await first.service.start()

    assert await said == [election.expected()] * 3
    archive_waits.unlink()
    await until(lambda: sql(cluster.outside, "SELECT count(*) > 0 FROM archive WHERE election_name = 'mixed'"))
    (shown,) = [archive for archive in cluster.shown(election)["archives"] if archive["kind"] == "final"]
    verified = cluster.cli("verify", shown["uri"])
    assert "whole" in verified
    assert "share" in verified
    assert cluster.results(election) == election.expected()

    await station_of(last).wait_for_tip(following.times.voting_start, HANGING)
    await in_blocks(station, following.ballots)
    await cluster.assert_ended(following)
