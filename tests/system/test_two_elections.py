"""Two elections in a row, with nobody's hand on the service but to kill it."""

from random import Random

from node_fsm_sandbox.election.draw import DrawnElection, draw_voters
from node_fsm_sandbox.election.polling_station import PollingStation
from node_fsm_sandbox.election.service_process import ServiceProcess

from node_fsm.ports.answers import FragmentState
from tests.contract.binaries import Binaries
from tests.support.polling import HANGING
from tests.system.conftest import Operator, draw, on_the_real_node, until

LEAD, VOTING, TALLYING = 20, 45, 60
GAP = 25


@on_the_real_node  # on the stand-ins the demo does this
async def test_two_elections_in_a_row(
    operator: Operator, service: ServiceProcess, station: PollingStation, binaries: Binaries
) -> None:
    await operator.add_leader0()
    voters = draw_voters(Random(1), 6)
    first = draw("first", voters, lead=LEAD, voting=VOTING, tallying=TALLYING)
    second = draw("second", voters, lead=LEAD + VOTING + GAP, voting=VOTING, tallying=TALLYING)
    operator.import_election(first)
    operator.import_election(second)
    await service.start()
    if binaries.sandbox:
        await service.wait_for_condition("sandbox", HANGING)
    await hold(operator, service, station, first, kill_in="Running")
    await hold(operator, service, station, second, kill_in="Tallying")
    state = await service.wait_until_idle(HANGING)
    assert [condition.type for condition in state.conditions] == ["sandbox"] * binaries.sandbox
    assert list((operator.storage / "elections").iterdir()) == []
    assert list((operator.storage / "set-aside").iterdir()) == []
    assert await service.stop() == 0


async def hold(
    operator: Operator, service: ServiceProcess, station: PollingStation, election: DrawnElection, *, kill_in: str
) -> None:
    """Vote in one election, kill the service in the given phase, and compare what is posted with what was drawn."""
    await service.wait_for(HANGING, phase="Running", election=election.name)
    await station.wait_for_tip(election.times.voting_start, HANGING)
    ballots = election.ballots
    half = len(ballots) // 2
    cast = await station.cast(ballots[:half])
    assert {status.state for status in await station.settled(cast, HANGING)} == {FragmentState.IN_A_BLOCK}
    if kill_in == "Running":
        await restart_killed(service)
        await service.wait_for(HANGING, phase="Running", election=election.name)
        await station.wait_for_tip(election.times.voting_start, HANGING)
    cast = await station.cast(ballots[half:])
    twice = await station.cast([election.again])
    outcomes = await station.settled([*cast, *twice], HANGING)
    assert {status.state for status in outcomes[:-1]} == {FragmentState.IN_A_BLOCK}, outcomes
    assert "already voted" in (outcomes[-1].reason or "")
    await station.wait_for_tip(election.times.voting_end, HANGING)
    if kill_in == "Tallying":
        await service.wait_until(lambda state: state.phase in {"Tallying", "Archiving"}, HANGING)
        await restart_killed(service)
    else:
        (status,) = await station.settled(await station.cast([election.late]), HANGING)
        assert "time to vote is between" in (status.reason or "")
    archived = "SELECT count(*) = 1 FROM archive WHERE election_name = $1 AND verified_at IS NOT NULL"
    await until(lambda: operator.sql(archived, election.name))
    shown = operator.show(election.name)
    (plan,) = shown["plans"]
    assert plan["results"] == election.expected()
    assert plan["on_chain"]
    (archive,) = shown["archives"]
    assert archive["kind"] == "final"
    assert "whole" in operator.cli("verify", archive["uri"])


async def restart_killed(service: ServiceProcess) -> None:
    """kill -9, and start again as a container would be."""
    await service.kill()
    await service.start()
