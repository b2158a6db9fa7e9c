"""Elections through everything that may break, or given up on the way: no vote is lost, nothing is done twice."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.support.election import DrawnElection
from tests.support.executable import write_executable
from tests.support.polling_station import PollingStation
from tests.support.proxy import FaultyProxy
from tests.support.service_process import ServiceProcess
from tests.system.conftest import Operator, on_the_real_node, undisturbed

POLL_SECONDS = 0.05
LONGEST_PREFIX = len(["python", "-I", "jormungandr"])

PAUSING_JCLI = """
import os, sys, time
while sys.argv[1] == "genesis" and os.path.exists({pause!r}):
    time.sleep(0.05)
os.execv({jcli!r}, sys.argv)
"""


@dataclass
class Faulty:
    """A service whose database and S3 lie behind a network that can be broken."""

    service: ServiceProcess
    database: FaultyProxy
    s3: FaultyProxy

    def restart_killed(self) -> None:
        """kill -9, and start again as a container would be."""
        self.service.kill()
        self.service.start()

    def restart_terminated(self) -> None:
        """SIGTERM, which ends it in order and in time, and start again."""
        assert self.service.terminate(40) == 0
        self.service.start()


@pytest.fixture
def faulty(operator: Operator) -> Iterator[Faulty]:
    """Leader 0's service, not started yet, behind breakable networks."""
    operator.environment["NODE_FSM_RESCAN_SECONDS"] = "2"
    url = make_url(operator.environment["NODE_FSM_DATABASE_URL"])
    s3 = make_url(operator.bucket.endpoint_url)
    assert url.port
    assert s3.port
    with FaultyProxy(url.port) as database, FaultyProxy(s3.port) as store:
        proxied = {
            "NODE_FSM_DATABASE_URL": url.set(port=database.port).render_as_string(hide_password=False),
            "NODE_FSM_S3_ENDPOINT_URL": f"http://{s3.host}:{store.port}",
        }
        service = ServiceProcess(operator.environment | proxied, operator.directory / "service.log")
        with ExitStack() as stack:
            stack.callback(service.end)
            yield Faulty(service, database, store)


@pytest.mark.timeout(300)
def test_an_election_in_which_everything_breaks(operator: Operator, faulty: Faulty) -> None:
    service, pause = faulty.service, operator.directory / "pause"
    jcli = PAUSING_JCLI.format(pause=str(pause), jcli=str(operator.jcli))
    service.environment["NODE_FSM_JCLI_PATH"] = str(write_executable(operator.directory / "pausing-jcli", jcli))
    operator.add_leader0()
    election = DrawnElection("first", operator.voters(10), seed=1)
    election.schedule(lead=20, voting=35, tallying=70)
    operator.import_election(election)

    faulty.s3.refuse()
    service.start()
    service.wait_for_condition("work_failing", 30)
    service.wait_for(10, phase="FetchingKey")
    pause.touch()
    faulty.restart_killed()
    faulty.s3.heal()
    service.wait_for(30, phase="GeneratingBlock0")
    faulty.restart_killed()
    pause.unlink()
    until(lambda: operator.sql("SELECT block0_hash FROM election") is not None, 30)
    faulty.restart_killed()

    service.wait_for(60, phase="Running")
    published = operator.sql("SELECT block0_hash FROM election")
    station = PollingStation(operator.jcli, operator.rest_url, operator.directory)
    station.wait_for_time(election.voting_start, 60)
    (plan_id,) = station.plan_ids()
    ballots = election.ballots()
    station.cast(ballots[:6], plan_id)
    kill_node(operator)
    in_blocks(service, 6)
    faulty.database.refuse()
    faulty.s3.blackhole()
    service.wait_for_condition("database_unavailable", 30)
    station.wait_for_time(election.voting_start, 30)
    station.cast(ballots[6:12], plan_id)
    kill_node(operator)
    in_blocks(service, 12)
    station.cast(ballots[12:], plan_id)
    in_blocks(service, len(ballots))
    faulty.database.heal()
    faulty.s3.heal()
    service.wait_until(undisturbed, 30)
    faulty.database.blackhole()
    faulty.restart_terminated()
    faulty.database.heal()

    station.wait_for_time(election.voting_end, 60)
    faulty.restart_killed()
    service.wait_for(60, phase="Tallying")
    faulty.restart_terminated()
    service.wait_for(60, phase="Tallying")
    kill_node(operator)
    faulty.database.blackhole()
    service.wait_for_condition("database_unavailable", 30)
    faulty.s3.refuse()
    faulty.database.heal()
    service.wait_for(90, phase="Archiving")
    service.wait_for_condition("work_failing", 30)
    faulty.restart_killed()
    service.wait_for(60, phase="Archiving")
    faulty.restart_terminated()
    faulty.s3.heal()
    service.wait_for(90, phase="Waiting", election=None)
    service.wait_until(undisturbed, 30)

    shown = operator.show("first")
    (plan,) = shown["plans"]
    assert list(plan["results"].values()) == election.expected()
    assert plan["on_chain"]
    (archive,) = shown["archives"]
    assert archive["kind"] == "final"
    assert archive["block0_hash"] == published
    assert "whole" in operator.cli("verify", archive["uri"])
    assert is_empty(operator)
    assert service.terminate() == 0


@on_the_real_node
@pytest.mark.timeout(240)
def test_elections_that_are_cancelled_and_edited_on_the_way(operator: Operator, faulty: Faulty) -> None:
    service, pause = faulty.service, operator.directory / "pause"
    jcli = PAUSING_JCLI.format(pause=str(pause), jcli=str(operator.jcli))
    service.environment["NODE_FSM_JCLI_PATH"] = str(write_executable(operator.directory / "pausing-jcli", jcli))
    service.environment["NODE_FSM_HOT_RELOAD"] = "true"
    operator.add_leader0()
    voters = operator.voters(5)
    first, second, third = (DrawnElection(name, voters, seed=1) for name in ("first", "second", "third"))
    for election in (first, second, third):
        election.schedule(lead=15, voting=30, tallying=60)
        operator.import_election(election)

    faulty.s3.refuse()
    service.start()
    service.wait_for(30, phase="FetchingKey", election="first")
    operator.cli("election", "cancel", "first")
    service.wait_for(30, phase="FetchingKey", election="second")
    pause.touch()
    faulty.s3.heal()
    service.wait_for(90, phase="GeneratingBlock0", election="second")
    operator.cli("election", "cancel", "second")
    pause.unlink()
    given_up = service.wait_for(60, phase="Running", election="third")["block0_hash"]

    station = PollingStation(operator.jcli, operator.rest_url, operator.directory)
    station.wait_for_time(third.voting_start, 60)
    (plan_id,) = station.plan_ids()
    ballots = third.ballots()
    station.cast(ballots[:3], plan_id)
    in_blocks(service, 3)
    operator.sql("UPDATE election SET tallying_end = tallying_end + interval '10 seconds' WHERE name = 'third'")
    until(lambda: bool(operator.sql("SELECT withdrawn_at IS NOT NULL FROM vote_plan")), 30)
    faulty.restart_killed()
    service.wait_until(lambda state: state["phase"] == "Running" and state["block0_hash"] != given_up, 60)
    station.wait_for_time(third.voting_start, 30)
    (other_plan_id,) = station.plan_ids()
    assert other_plan_id != plan_id
    station.cast(ballots, other_plan_id)
    in_blocks(service, len(ballots))
    station.wait_for_time(third.voting_end, 60)
    service.wait_for(60, phase="Waiting", election=None)

    for name in ("first", "second"):
        assert operator.show(name)["plans"] == []
    shown = operator.show("third")
    counted = [list(plan["results"].values()) for plan in shown["plans"] if plan["results"]]
    assert counted == [third.expected()]
    (final,) = (archive for archive in shown["archives"] if archive["kind"] == "final")
    assert "whole" in operator.cli("verify", final["uri"])
    assert final["block0_hash"] != given_up
    # What was given up is archived too, with its votes, though the service was killed as it gave it up.
    until(lambda: {archive["kind"] for archive in operator.show("third")["archives"]} == {"final", "superseded"}, 60)
    assert list((operator.storage / "elections").iterdir()) == []


def is_empty(operator: Operator) -> bool:
    return not [*(operator.storage / "elections").iterdir(), *(operator.storage / "set-aside").iterdir()]


def in_blocks(service: ServiceProcess, votes: int) -> None:
    """Wait until the service has seen so many votes in blocks."""
    until(lambda: f"node_fsm_votes_cast {votes}.0\n" in service.metrics(), 30)


def kill_node(operator: Operator) -> None:
    """kill -9 of the node itself, not of the service's leash on it."""
    (pid,) = node_pids(operator)
    os.kill(pid, signal.SIGKILL)


def node_pids(operator: Operator) -> Sequence[int]:
    executable = operator.environment["NODE_FSM_JORM_PATH"].encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue  # it has ended
        # The leash has the node's words behind its own; a stand-in has its interpreter's before them.
        if str(operator.storage).encode() in command and executable in command.split(b"\0")[:LONGEST_PREFIX]:
            found.append(int(process.name))
    return found


def until(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(POLL_SECONDS)  # a poll with a deadline
