"""Two elections in a row, with nobody's hand on the service but to kill it."""

from dataclasses import replace

import pytest

from node_fsm.ports.answers import FragmentState
from tests.contract.binaries import Binaries
from tests.support.election import DrawnElection
from tests.support.polling_station import PollingStation
from tests.support.service_process import ServiceProcess
from tests.system.conftest import Operator, on_the_real_node

LEAD, VOTING, TALLYING = 14, 22, 40
GAP = 20


@on_the_real_node  # on the stand-ins the demo does this
@pytest.mark.timeout(300)
def test_two_elections_in_a_row(operator: Operator, service: ServiceProcess, binaries: Binaries) -> None:
    operator.add_leader0()
    voters = operator.voters(6)
    first = DrawnElection("first", voters, seed=1)
    second = DrawnElection("second", voters, seed=2)
    first.schedule(lead=LEAD, voting=VOTING, tallying=TALLYING)
    second.schedule(lead=LEAD + VOTING + GAP, voting=VOTING, tallying=TALLYING)
    operator.import_election(first)
    operator.import_election(second)
    service.start()
    if binaries.sandbox:
        service.wait_for_condition("sandbox", 30)
    hold(operator, service, first, kill_in="Running")
    hold(operator, service, second, kill_in="Tallying")
    state = service.wait_for(60, phase="Waiting", election=None)
    assert [condition["type"] for condition in state["conditions"]] == ["sandbox"] * binaries.sandbox
    assert list((operator.storage / "elections").iterdir()) == []
    assert list((operator.storage / "set-aside").iterdir()) == []
    assert service.terminate() == 0


def hold(operator: Operator, service: ServiceProcess, election: DrawnElection, *, kill_in: str) -> None:
    """Vote in one election, kill the service in the given phase, and compare what is posted with what was drawn."""
    service.wait_for(120, phase="Running", election=election.name)
    station = PollingStation(operator.jcli, operator.rest_url, operator.directory)
    station.wait_for_time(election.voting_start, 60)
    (plan_id,) = station.plan_ids()
    ballots = election.ballots()
    half = len(ballots) // 2
    cast = station.cast(ballots[:half], plan_id)
    assert {status.state for status in station.outcomes(cast)} == {FragmentState.IN_A_BLOCK}
    if kill_in == "Running":
        restart_killed(service)
        service.wait_for(60, phase="Running", election=election.name)
        station.wait_for_time(election.voting_start, 60)
    cast = station.cast(ballots[half:], plan_id)
    twice = station.cast([replace(ballots[0], choice=(ballots[0].choice + 1) % 3, counter=2)], plan_id)
    outcomes = station.outcomes([*cast, *twice])
    assert {status.state for status in outcomes[:-1]} == {FragmentState.IN_A_BLOCK}, outcomes
    assert "already voted" in (outcomes[-1].reason or "")
    station.wait_for_time(election.voting_end, 60)
    late = replace(ballots[0], voter=election.late, proposal=1, choice=0, counter=1)
    if kill_in == "Tallying":
        service.wait_until(lambda state: state["phase"] in {"Tallying", "Archiving"}, 30)
        restart_killed(service)
    else:
        (status,) = station.outcomes(station.cast([late], plan_id))
        assert "time to vote is between" in (status.reason or "")
    archived = "SELECT count(*) FROM archive WHERE election_name = $1 AND verified_at IS NOT NULL"
    service.wait_until(lambda _: operator.sql(archived, election.name) == 1, 90)
    shown = operator.show(election.name)
    (plan,) = shown["plans"]
    assert list(plan["results"].values()) == election.expected()
    assert plan["on_chain"]
    (archive,) = shown["archives"]
    assert archive["kind"] == "final"
    assert "whole" in operator.cli("verify", archive["uri"])


def restart_killed(service: ServiceProcess) -> None:
    """kill -9, and start again as a container would be."""
    service.kill()
    service.start()
