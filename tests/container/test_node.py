"""A node in a container: locked in as the service is, stopped with it, and going on from the volume."""

import time
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from node_fsm_sandbox.election.draw import draw_voters
from node_fsm_sandbox.election.part import rest_url
from node_fsm_sandbox.election.polling_station import PollingStation
from node_fsm_sandbox.servers.server import LOOPBACK

from node_fsm.node.rest import NodeRest
from node_fsm.ports.answers import FragmentState
from node_fsm.service import STOP_SECONDS
from tests.container.conftest import Start
from tests.contract.binaries import Binaries
from tests.support.polling import HANGING
from tests.system.conftest import Operator, draw, operator, until, waiting_operator

__all__ = ["operator", "waiting_operator"]  # fixtures

OF_THE_IMAGE = ("NODE_FSM_JCLI_PATH", "NODE_FSM_JORM_PATH", "NODE_FSM_STORAGE_DIR")
TEMPLATE = "/run/template.yaml"

pytestmark = pytest.mark.timeout(900)  # with the image


def wait_for_node(port: int) -> dict[str, Any]:
    """The service's state once its node runs."""
    deadline = time.monotonic() + HANGING
    while True:
        try:
            ready = httpx.get(f"http://{LOOPBACK}:{port}/health/ready", trust_env=False)
            state = dict(httpx.get(f"http://{LOOPBACK}:{port}/state", trust_env=False).json())
        except httpx.TransportError:
            state = {}
        if state.get("phase") == "Running" and ready.status_code == 200:
            return state
        assert time.monotonic() < deadline, state
        time.sleep(0.1)  # a poll with a deadline


@pytest.fixture
def files(binaries: Binaries) -> dict[str, Path]:
    """What to mount so that the container runs these binaries; the image has the stand-ins."""
    if binaries.sandbox:
        return {}
    return {"/usr/local/bin/jcli": binaries.jcli, "/usr/local/bin/jormungandr": binaries.jormungandr}


async def test_an_election_survives_the_end_of_its_container(
    start: Start, port: int, operator: Operator, files: dict[str, Path]
) -> None:
    """As the image is meant to run: nobody, nothing but its volume to write to, and 75 s to stop."""
    key = (await operator.add_leader0()).secret.reveal()
    election = draw("first", draw_voters(Random(1), 4), lead=14, voting=45, tallying=60)
    operator.import_election(election)
    environment = {name: value for name, value in operator.environment.items() if name not in OF_THE_IMAGE}
    template = Path(environment["NODE_FSM_BLOCK0_TEMPLATE"])
    template.chmod(0o644)
    container = start(environment | {"NODE_FSM_BLOCK0_TEMPLATE": TEMPLATE}, files | {TEMPLATE: template})
    before = wait_for_node(port)
    assert key not in container.inspect()
    assert key not in container.execute("sh", "-c", "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline")
    assert container.terminate(STOP_SECONDS) == 0
    container.start_again()
    after = wait_for_node(port)
    assert after["block0_hash"] == before["block0_hash"]
    async with NodeRest(rest_url(environment)) as node:
        station = PollingStation(node, [])
        await station.wait_for_tip(election.times.voting_start, HANGING)
        outcomes = await station.settled(await station.cast(election.ballots), HANGING)
        assert {status.state for status in outcomes} == {FragmentState.IN_A_BLOCK}
    archived = "SELECT count(*) = 1 FROM archive WHERE election_name = $1 AND verified_at IS NOT NULL"
    await until(lambda: operator.sql(archived, election.name))
    [plan] = operator.show(election.name)["plans"]
    assert plan["results"] == election.expected()
    assert container.terminate(STOP_SECONDS) == 0
    assert key not in container.logs()
