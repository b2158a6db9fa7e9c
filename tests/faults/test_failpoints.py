"""A service fails at each place, by each action, and is started again: the election ends as the undisturbed one."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from mypy_boto3_s3 import S3Client
from node_fsm_sandbox.failpoints.names import failpoints
from node_fsm_sandbox.servers.postgres import EmbeddedPostgres
from node_fsm_sandbox.servers.s3 import EmbeddedS3

from tests.contract.binaries import Binaries, sandbox_binaries
from tests.faults.failpoints.cases import ACTIONS, EVENTFUL_ACTIONS, IN_THE_QUIET, NOWHERE, Case, cases
from tests.faults.failpoints.flights import ELECTION_SECONDS, Flights
from tests.faults.failpoints.inputs import Inputs
from tests.faults.failpoints.world import World, world_of
from tests.support.bucket import Bucket
from tests.support.polling import HANGING

pytestmark = [pytest.mark.faults, pytest.mark.timeout(ELECTION_SECONDS + HANGING)]


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Binaries:
    """The stand-ins for jcli and jormungandr."""
    return sandbox_binaries(tmp_path_factory.mktemp("bin"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def flights(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: EmbeddedPostgres,
    database_template: str,
    s3_server: EmbeddedS3,
    s3_client: S3Client,
) -> AsyncIterator[Flights]:
    """The elections of all cases that this process was told to test."""

    @asynccontextmanager
    async def world(name: str, inputs: Inputs) -> AsyncIterator[World]:
        database = f"failpoints-{name}"
        url = await postgres_server.create_database(database, template=database_template)
        bucket = Bucket(s3_server.endpoint_url, database, s3_client)
        s3_client.create_bucket(Bucket=bucket.name)
        async with world_of(inputs, tmp_path_factory.mktemp(name), url, bucket) as made:
            yield made
        await postgres_server.drop_database(database)

    items = [item for item in request.session.items if isinstance(item, pytest.Function) and hasattr(item, "callspec")]
    asked = [case for item in items if isinstance(case := item.callspec.params.get("case"), Case)]
    flights = Flights(asked, tmp_path_factory.mktemp, world)
    yield flights
    await flights.close()


def parameters(of: Iterable[Case]) -> list[Any]:
    """Those of a flight run in one process."""
    return [pytest.param(case, id=str(case), marks=pytest.mark.xdist_group(case.flight)) for case in of]


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("case", parameters(cases()))
async def test_failpoint(flights: Flights, case: Case, stand_ins: Binaries) -> None:
    await flights.outcome(case, stand_ins)


def test_every_failpoint_is_tested_or_known_to_be_tested_elsewhere() -> None:
    tested = {(case.place.partition("@")[0], case.action) for case in cases()}
    names = {name for name in failpoints() if name.partition(":")[0] not in NOWHERE}
    assert {name for name, action in tested if action in EVENTFUL_ACTIONS} == names
    quiet = {name for name in names if name.partition(":")[0] in IN_THE_QUIET}
    assert {(name, action) for name, action in tested if name in quiet} == {(n, a) for n in quiet for a in ACTIONS}
