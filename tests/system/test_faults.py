"""Elections through everything that may break, or given up on the way: no vote is lost, nothing is done twice."""

import os
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest_asyncio
from node_fsm_sandbox.election.draw import draw_voters
from node_fsm_sandbox.election.part import rest_url
from node_fsm_sandbox.election.polling_station import PollingStation
from node_fsm_sandbox.election.service_process import ServiceProcess
from sqlalchemy import make_url

from node_fsm.node.rest import NodeRest
from node_fsm.sidecar.answers import State
from tests.support.executable import write_executable
from tests.support.polling import HANGING
from tests.support.proxy import FaultyProxy
from tests.system.conftest import Operator, draw, on_the_real_node, shown, undisturbed, until

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

    async def restart_killed(self) -> None:
        """kill -9, and start again as a container would be."""
        await self.service.kill()
        await self.service.start()

    async def restart_terminated(self) -> None:
        """SIGTERM, which ends it in order and in time, and start again."""
        assert await self.service.stop() == 0
        await self.service.start()


@pytest_asyncio.fixture
async def faulty(operator: Operator) -> AsyncIterator[Faulty]:
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
        log = operator.directory / "service.log"
        process = ServiceProcess("leader0", operator.environment | proxied, log, operator.directory)
        async with shown(process) as service:
            yield Faulty(service, database, store)


async def test_an_election_in_which_everything_breaks(
    operator: Operator, faulty: Faulty, station: PollingStation
) -> None:
    service, pause = faulty.service, operator.directory / "pause"
    jcli = PAUSING_JCLI.format(pause=str(pause), jcli=str(operator.environment["NODE_FSM_JCLI_PATH"]))
    service.settings["NODE_FSM_JCLI_PATH"] = str(write_executable(operator.directory / "pausing-jcli", jcli))
    await operator.add_leader0()
    election = draw("first", draw_voters(Random(1), 10), lead=20, voting=75, tallying=100)
    operator.import_election(election)

    faulty.s3.refuse()
    await service.start()
    await service.wait_for_condition("work_failing", HANGING)
    await service.wait_for(HANGING, phase="FetchingKey")
    pause.touch()
    await faulty.restart_killed()
    faulty.s3.heal()
    await service.wait_for(HANGING, phase="GeneratingBlock0")
    await faulty.restart_killed()
    pause.unlink()
    await until(lambda: operator.sql("SELECT block0_hash FROM election"))
    await faulty.restart_killed()

    await service.wait_for(HANGING, phase="Running")
    published = await operator.sql("SELECT block0_hash FROM election")
    await station.wait_for_tip(election.times.voting_start, HANGING)
    ballots = election.ballots
    await station.cast(ballots[:6])
    kill_node(operator)
    await in_blocks(service, 6)
    faulty.database.refuse()
    faulty.s3.blackhole()
    await service.wait_for_condition("database_unavailable", HANGING)
    await station.wait_for_tip(election.times.voting_start, HANGING)
    await station.cast(ballots[6:12])
    kill_node(operator)
    await in_blocks(service, 12)
    await station.cast(ballots[12:])
    await in_blocks(service, len(ballots))
    faulty.database.heal()
    faulty.s3.heal()
    await service.wait_until(undisturbed, HANGING)
    faulty.database.blackhole()
    await faulty.restart_terminated()
    faulty.database.heal()

    await station.wait_for_tip(election.times.voting_end, HANGING)
    await faulty.restart_killed()
    await service.wait_for(HANGING, phase="Tallying")
    await faulty.restart_terminated()
    await service.wait_for(HANGING, phase="Tallying")
    kill_node(operator)
    faulty.database.blackhole()
    await service.wait_for_condition("database_unavailable", HANGING)
    faulty.s3.refuse()
    faulty.database.heal()
    await service.wait_for(HANGING, phase="Archiving")
    await service.wait_for_condition("work_failing", HANGING)
    await faulty.restart_killed()
    await service.wait_for(HANGING, phase="Archiving")
    await faulty.restart_terminated()
    faulty.s3.heal()
    await service.wait_until_idle(HANGING)
    await service.wait_until(undisturbed, HANGING)

    outcome = operator.show("first")
    (plan,) = outcome["plans"]
    assert plan["results"] == election.expected()
    assert plan["on_chain"]
    (archive,) = outcome["archives"]
    assert archive["kind"] == "final"
    assert archive["block0_hash"] == published
    assert "whole" in operator.cli("verify", archive["uri"])
    assert is_empty(operator)
    assert await service.stop() == 0


@on_the_real_node
async def test_elections_that_are_cancelled_and_edited_on_the_way(
    operator: Operator, faulty: Faulty, station: PollingStation
) -> None:
    service, pause = faulty.service, operator.directory / "pause"
    jcli = PAUSING_JCLI.format(pause=str(pause), jcli=str(operator.environment["NODE_FSM_JCLI_PATH"]))
    service.settings["NODE_FSM_JCLI_PATH"] = str(write_executable(operator.directory / "pausing-jcli", jcli))
    service.settings["NODE_FSM_HOT_RELOAD"] = "true"
    await operator.add_leader0()
    voters = draw_voters(Random(1), 5)
    first, second, third = (
        draw(name, voters, lead=15, voting=30, tallying=60) for name in ("first", "second", "third")
    )
    for election in (first, second, third):
        operator.import_election(election)

    faulty.s3.refuse()
    await service.start()
    await service.wait_for(HANGING, phase="FetchingKey", election="first")
    operator.cli("election", "cancel", "first")
    await service.wait_for(HANGING, phase="FetchingKey", election="second")
    pause.touch()
    faulty.s3.heal()
    await service.wait_for(HANGING, phase="GeneratingBlock0", election="second")
    operator.cli("election", "cancel", "second")
    pause.unlink()
    given_up = (await service.wait_for(HANGING, phase="Running", election="third")).block0_hash

    await station.wait_for_tip(third.times.voting_start, HANGING)
    (plan_id,) = await plan_ids(operator)
    ballots = third.ballots
    await station.cast(ballots[:3])
    await in_blocks(service, 3)
    await operator.sql("UPDATE election SET tallying_end = tallying_end + interval '10 seconds' WHERE name = 'third'")
    await until(lambda: operator.sql("SELECT withdrawn_at IS NOT NULL FROM vote_plan"))
    await faulty.restart_killed()

    def runs_anew(state: State) -> bool:
        return state.phase == "Running" and state.block0_hash != given_up

    await service.wait_until(runs_anew, HANGING)
    await station.wait_for_tip(third.times.voting_start, HANGING)
    (other_plan_id,) = await plan_ids(operator)
    assert other_plan_id != plan_id
    await station.cast(ballots)
    await in_blocks(service, len(ballots))
    await station.wait_for_tip(third.times.voting_end, HANGING)
    await service.wait_until_idle(HANGING)

    for name in ("first", "second"):
        assert operator.show(name)["plans"] == []
    outcome = operator.show("third")
    counted = [plan["results"] for plan in outcome["plans"] if plan["results"]]
    assert counted == [third.expected()]
    (final,) = (archive for archive in outcome["archives"] if archive["kind"] == "final")
    assert "whole" in operator.cli("verify", final["uri"])
    assert final["block0_hash"] != given_up
    # What was given up is archived too, with its votes, though the service was killed as it gave it up.
    kinds = "SELECT array_agg(DISTINCT kind::text ORDER BY kind::text) = '{final,superseded}' FROM archive"
    await until(lambda: operator.sql(kinds))
    assert list((operator.storage / "elections").iterdir()) == []


def is_empty(operator: Operator) -> bool:
    return not [*(operator.storage / "elections").iterdir(), *(operator.storage / "set-aside").iterdir()]


async def in_blocks(service: ServiceProcess, votes: int) -> None:
    """Wait until the service has seen so many votes in blocks."""

    async def seen() -> bool:
        return f"node_fsm_votes_cast {votes}.0\n" in await service.metrics()

    await until(seen)


async def plan_ids(operator: Operator) -> Sequence[str]:
    """The plans on the node's chain."""
    async with NodeRest(rest_url(operator.environment)) as node:
        return list(await node.vote_plans())


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
