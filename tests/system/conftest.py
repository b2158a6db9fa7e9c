"""A service among real servers, on either pair of binaries, and the operator's and voters' hands."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import yaml
from node_fsm_sandbox.servers.server import LOOPBACK, free_port

from node_fsm.core.secret import Secret
from tests.contract.binaries import Binaries
from tests.support.bucket import Bucket
from tests.support.election import TEMPLATE, DrawnElection, Voter
from tests.support.service_process import ServiceProcess, run_cli
from tests.support.wallet import Wallet, new_wallet

HOSTNAME = "leader0"

on_the_real_node = pytest.mark.parametrize("binaries", [pytest.param("real", marks=pytest.mark.real)], indirect=True)
"""For tests that take too long to be run on the stand-ins as well."""


@dataclass
class Operator:
    """What an operator has: the environment of the service, a directory, jcli."""

    environment: dict[str, str]
    directory: Path
    jcli: Path
    bucket: Bucket

    @property
    def storage(self) -> Path:
        return Path(self.environment["NODE_FSM_STORAGE_DIR"])

    @property
    def rest_url(self) -> str:
        return f"http://{self.environment['NODE_FSM_NODE_REST_LISTEN']}/api"

    def cli(self, *arguments: str) -> str:
        return run_cli(self.environment, *arguments)

    def sql(self, statement: str, *arguments: object) -> object:
        """Run statements in the database; the first value that they return."""

        async def ask() -> object:
            connection = await asyncpg.connect(self.environment["NODE_FSM_DATABASE_URL"].replace("+asyncpg", ""))
            try:
                if statement.startswith("SELECT"):
                    return await connection.fetchval(statement, *arguments)
                return await connection.execute(statement, *arguments)
            finally:
                await connection.close()

        return asyncio.run(ask())

    def put_key(self, secret: Secret) -> None:
        """Put a signing key where the service looks for it."""
        self.bucket.client.put_object(Bucket=self.bucket.name, Key="leader0.sk", Body=secret.reveal().encode())

    def add_leader0(self) -> Wallet:
        """Make leader 0's key, put it into S3 and its public half into jorm_nodes."""
        wallet = self.new_wallet()
        self.put_key(wallet.secret)
        self.cli("node", "add", HOSTNAME, "--leader-id", wallet.public_key)
        return wallet

    def new_wallet(self) -> Wallet:
        """A new leader's key."""
        return asyncio.run(new_wallet(self.jcli, "ed25519"))

    def voters(self, count: int) -> list[Voter]:
        """Voters with powers 10, 20, 30..."""

        async def make() -> list[Voter]:
            return [Voter(await new_wallet(self.jcli), 10 * (number + 1)) for number in range(count)]

        return asyncio.run(make())

    def import_election(self, election: DrawnElection, *flags: str) -> str:
        """Import a drawn election with the command line."""
        file, voters = election.write(self.directory)
        return self.cli("election", "import", str(file), "--voters", str(voters), *flags)

    def show(self, name: str) -> dict[str, Any]:
        """What the command line shows of an election."""
        return dict(json.loads(self.cli("election", "show", name, "--json")))


def undisturbed(state: dict[str, Any]) -> bool:
    """Whether a service complains of nothing, but that it runs on stand-ins."""
    return all(condition["type"] == "sandbox" for condition in state["conditions"])


@pytest.fixture
def waiting_operator(tmp_path: Path, database_url: str, s3_bucket: Bucket) -> Operator:
    """An operator's environment for leader 0, alone on its chain, without jcli and jormungandr."""
    template = tmp_path / "template.yaml"
    template.write_text(yaml.safe_dump(TEMPLATE))
    environment = {
        "NODE_FSM_ROLE": "leader0",
        "NODE_FSM_HOSTNAME": HOSTNAME,
        "NODE_FSM_DATABASE_URL": database_url,
        "NODE_FSM_SIGNING_KEY_S3_URI": f"s3://{s3_bucket.name}/leader0.sk",
        "NODE_FSM_ARCHIVE_S3_URI": f"s3://{s3_bucket.name}/archive",
        "NODE_FSM_S3_ENDPOINT_URL": s3_bucket.endpoint_url,
        "NODE_FSM_VOTING_START_OFFSET_MINUTES": "-0.1",
        "NODE_FSM_BLOCK0_TEMPLATE": str(template),
        "NODE_FSM_STORAGE_DIR": str(tmp_path / "storage"),
        "NODE_FSM_JCLI_PATH": str(tmp_path / "no-jcli"),
        "NODE_FSM_JORM_PATH": str(tmp_path / "no-jormungandr"),
        "NODE_FSM_NODE_REST_LISTEN": f"{LOOPBACK}:{free_port()}",
        "NODE_FSM_NODE_P2P_LISTEN": f"{LOOPBACK}:{free_port()}",
    }
    return Operator(environment, tmp_path, tmp_path / "no-jcli", s3_bucket)


@pytest.fixture
def operator(waiting_operator: Operator, binaries: Binaries) -> Operator:
    """An operator's environment for leader 0, alone on its chain."""
    paths = {"NODE_FSM_JCLI_PATH": str(binaries.jcli), "NODE_FSM_JORM_PATH": str(binaries.jormungandr)}
    return replace(waiting_operator, environment=waiting_operator.environment | paths, jcli=binaries.jcli)


@pytest.fixture
def service(operator: Operator) -> Iterator[ServiceProcess]:
    """Leader 0's service, not started yet; its log is shown when the test fails."""
    process = ServiceProcess(operator.environment, operator.directory / "service.log")
    yield process
    process.end()
