"""Strangers at the port of a service whose node runs: probes are answered, and neither of the two stops for them."""

import asyncio
import json
import sys
from pathlib import Path
from random import Random

import pytest
from node_fsm_sandbox.election.draw import draw_voters
from node_fsm_sandbox.election.service_process import ServiceProcess

from node_fsm.core.phases import Phase, Role
from node_fsm.metrics import Metrics
from node_fsm.sidecar.app import create_app
from node_fsm.sidecar.page.routes import EVENTS
from tests.contract.binaries import Binaries, sandbox_binaries
from tests.security.attacks import ATTACKS, heartbeats_under
from tests.sidecar.page import scenes
from tests.sidecar.page.test_routes import Stand
from tests.sidecar.states import Source
from tests.support.polling import HANGING
from tests.system.conftest import Operator, draw, operator, service, undisturbed, waiting_operator

__all__ = ["operator", "service", "waiting_operator"]

pytestmark = pytest.mark.faults

ATTACK_SECONDS = 2.0
MOST_MEMORY = 96 * 2**20
EXAMPLES = 50
NOT_DESCRIBED = "content_type_conformance,status_code_conformance"
"""Of the answers, by what FastAPI makes a description of."""


@pytest.fixture
def binaries(tmp_path: Path) -> Binaries:
    return sandbox_binaries(tmp_path)


async def test_a_service_and_its_node_go_on_whatever_strangers_send(
    operator: Operator, service: ServiceProcess, tmp_path: Path
) -> None:
    await operator.add_leader0()
    operator.import_election(draw("first", draw_voters(Random(1), 4), lead=8, voting=600, tallying=200))
    await service.start()
    await service.wait_for(HANGING, phase="Running", election="first")
    await service.wait_until(undisturbed, HANGING)
    port = int(service.settings["NODE_FSM_PORT"])
    children = {child.pid for child in service.process.children(recursive=True)}
    memory, files = service.process.memory_info().rss, service.process.num_fds()

    for name, attack in ATTACKS.items():
        heartbeats = await heartbeats_under(attack, port, ATTACK_SECONDS)
        print(f"{name}: {heartbeats.figures()}")
        assert heartbeats.faults == [], name
    await fuzz(port, tmp_path)

    await service.wait_until(undisturbed, HANGING)
    assert service.restarts == 0
    assert children <= {child.pid for child in service.process.children(recursive=True)}, "the node went on"
    assert service.process.memory_info().rss - memory < MOST_MEMORY
    assert service.process.num_fds() <= files + 8
    log = service.log.read_text()
    assert "Traceback" not in log
    assert "Invalid HTTP" not in log


async def fuzz(port: int, directory: Path) -> None:
    """Have schemathesis make requests of what the application says of itself, and of what it does not."""
    source = Source(scenes.status(Phase.RUNNING))
    app = create_app(
        *(source, Metrics(Role.LEADER0).registry),
        tick_limit=60,
        expose_state=False,
        monotonic=lambda: 0.0,
        page=Stand().page.router,
    )
    description = app.openapi()
    del description["paths"][EVENTS]  # which has no end
    file = directory / "openapi.json"
    file.write_text(json.dumps(description))
    process = await asyncio.create_subprocess_exec(
        *(Path(sys.executable).with_name("schemathesis"), "run", file, "--url", f"http://127.0.0.1:{port}"),
        *("--checks", "all", "--exclude-checks", NOT_DESCRIBED),
        *("--max-examples", str(EXAMPLES), "--seed", "1", "--no-color", "--generation-database", "none"),
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
