"""A service among real servers, on either pair of binaries, and the operator's and voters' hands."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
import yaml
from node_fsm_sandbox.election.binaries import script
from node_fsm_sandbox.election.draw import DrawnElection, Voter, draw_election
from node_fsm_sandbox.election.environment import service_environment
from node_fsm_sandbox.election.importing import write_election
from node_fsm_sandbox.election.outside import Outside
from node_fsm_sandbox.election.part import Part, leader0, rest_url, settings_of
from node_fsm_sandbox.election.polling_station import PollingStation
from node_fsm_sandbox.election.schedule import Times
from node_fsm_sandbox.election.service_process import ServiceProcess
from node_fsm_sandbox.election.wallet import Wallet

from node_fsm.core.secret import Secret
from node_fsm.node.rest import NodeRest
from node_fsm.sidecar.answers import State
from tests.contract.binaries import Binaries
from tests.support.bucket import Bucket
from tests.support.polling import HANGING
from tests.support.roles import DatabaseRole
from tests.support.template import TEMPLATE

POLL_SECONDS = 0.05

on_the_real_node = pytest.mark.parametrize("binaries", [pytest.param("real", marks=pytest.mark.real)], indirect=True)
"""For tests that take too long to be run on the stand-ins as well."""


@dataclass
class Operator:
    """What an operator of leader 0 has: its settings, a directory, database and bucket."""

    environment: dict[str, str]
    directory: Path
    part: Part
    outside: Outside
    bucket: Bucket

    @property
    def storage(self) -> Path:
        return Path(self.environment["NODE_FSM_STORAGE_DIR"])

    def cli(self, *arguments: str) -> str:
        """What a command of the command line prints, with the rights of an operator."""
        return run_cli(
            self.environment | {"NODE_FSM_DATABASE_URL": DatabaseRole.OPERATOR.url(self.outside.database_url)},
            self.directory,
            *arguments,
        )

    async def sql(self, statement: str, *arguments: object) -> object:
        """Run a statement in the database; the first value that it returns."""
        return await sql(self.outside, statement, *arguments)

    def put_key(self, secret: Secret) -> None:
        """Put a signing key where the service looks for it."""
        self.bucket.client.put_object(Bucket=self.bucket.name, Key=self.part.key_name, Body=secret.reveal().encode())

    async def add_leader0(self) -> Wallet:
        """Put leader 0's key into S3 and its public half into jorm_nodes."""
        await self.outside.register([self.part])
        assert self.part.wallet
        return self.part.wallet

    def import_election(self, election: DrawnElection, *flags: str) -> str:
        """Import a drawn election with the command line."""
        file, voters = write_election(election, self.directory / "elections" / election.name)
        return self.cli("election", "import", str(file), "--voters", str(voters), *flags)

    def show(self, name: str) -> dict[str, Any]:
        """What the command line shows of an election."""
        return dict(json.loads(self.cli("election", "show", name, "--output", "json")))


def run_cli(settings: dict[str, str], directory: Path, *arguments: str) -> str:
    """Run one command of the command line to its end and return what it printed."""
    done = subprocess.run(
        [script("node-fsm"), *arguments],
        env=service_environment(os.environ, directory, settings),
        capture_output=True,
        text=True,
        timeout=HANGING,
        check=False,
    )
    assert done.returncode == 0, f"node-fsm {arguments} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


async def sql(outside: Outside, statement: str, *arguments: object) -> object:
    """Run a statement in the database; the first value that it returns."""
    connection = await asyncpg.connect(outside.database_url.replace("+asyncpg", ""))
    try:
        if statement.startswith("SELECT"):
            return await connection.fetchval(statement, *arguments)
        return await connection.execute(statement, *arguments)
    finally:
        await connection.close()


def draw(name: str, voters: tuple[Voter, ...], *, lead: float, voting: float, tallying: float) -> DrawnElection:
    """Draw an election with a voting start *lead* seconds from now; the same votes each time."""
    return draw_election(name, Times.soon(lead, voting=voting, tallying=tallying), voters, Random(1))


async def until(holds: Callable[[], Awaitable[object]]) -> None:
    """Wait until *holds* says so."""
    async with asyncio.timeout(HANGING):
        while not await holds():
            await asyncio.sleep(POLL_SECONDS)


def undisturbed(state: State) -> bool:
    """Whether a service complains of nothing, but that it runs on stand-ins."""
    return all(condition.type == "sandbox" for condition in state.conditions)


@asynccontextmanager
async def shown(service: ServiceProcess) -> AsyncIterator[ServiceProcess]:
    """A service of which nothing is left afterwards but its log, which is shown when the test fails."""
    try:
        yield service
    finally:
        await service.close()
        show_logs([service])


def show_logs(services: Iterable[ServiceProcess]) -> None:
    """Print what services said, for a test that fails."""
    for service in services:
        if service.log.exists():
            print(f"==== {service.hostname} ====\n{service.log.read_text(errors='replace')}")


@pytest.fixture
def waiting_operator(tmp_path: Path, database_url: str, s3_bucket: Bucket) -> Operator:
    """An operator's settings for leader 0, alone on its chain, without jcli and jormungandr."""
    template = tmp_path / "template.yaml"
    template.write_text(yaml.safe_dump(TEMPLATE))
    part, outside = leader0(), Outside(database_url, s3_bucket.endpoint_url, s3_bucket.name)
    environment = settings_of(part, s3_bucket.name, tmp_path / "storage") | {
        "NODE_FSM_DATABASE_URL": DatabaseRole.LEADER0.url(outside.database_url),
        "NODE_FSM_S3_ENDPOINT_URL": outside.s3_url,
        "NODE_FSM_VOTING_START_OFFSET_MINUTES": "-0.1",
        "NODE_FSM_BLOCK0_TEMPLATE": str(template),
        "NODE_FSM_JCLI_PATH": str(tmp_path / "no-jcli"),
        "NODE_FSM_JORM_PATH": str(tmp_path / "no-jormungandr"),
        "NODE_FSM_LOG_LEVEL": "DEBUG",
    }
    return Operator(environment, tmp_path, part, outside, s3_bucket)


@pytest.fixture
def operator(waiting_operator: Operator, binaries: Binaries) -> Operator:
    """An operator's settings for leader 0, alone on its chain."""
    paths = {"NODE_FSM_JCLI_PATH": str(binaries.jcli), "NODE_FSM_JORM_PATH": str(binaries.jormungandr)}
    return replace(waiting_operator, environment=waiting_operator.environment | paths)


@pytest_asyncio.fixture
async def service(operator: Operator) -> AsyncIterator[ServiceProcess]:
    """Leader 0's service, not started yet; its log is shown when the test fails."""
    log = operator.directory / "service.log"
    async with shown(ServiceProcess(operator.part.hostname, operator.environment, log, operator.directory)) as process:
        yield process


@pytest_asyncio.fixture
async def station(operator: Operator) -> AsyncIterator[PollingStation]:
    """Voters' hands at leader 0's node."""
    async with NodeRest(rest_url(operator.environment)) as node:
        yield PollingStation(node, [])
