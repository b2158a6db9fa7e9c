"""Each fault in each phase by real means: the promise is kept while it lasts, and the end is the undisturbed one's."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count

import pytest
import pytest_asyncio
from mypy_boto3_s3 import S3Client
from node_fsm_sandbox.election.outside import Outside
from node_fsm_sandbox.servers.postgres import EmbeddedPostgres
from node_fsm_sandbox.servers.s3 import EmbeddedS3

from node_fsm.database.migrate import upgrade
from tests.contract.binaries import sandbox_binaries
from tests.faults.matrix.faults import FAULTS
from tests.faults.matrix.runs import Runs, Walk, group_of
from tests.faults.matrix.scene import Place
from tests.faults.matrix.table import Cell, read
from tests.support.bucket import Bucket
from tests.support.roles import DatabaseRole, grant, make_roles

pytestmark = [pytest.mark.faults, pytest.mark.asyncio(loop_scope="session")]

CELLS = read()

_numbers = count(1)
_one_upgrade = asyncio.Lock()
"""Alembic makes one at a time in a process."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def runs(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: EmbeddedPostgres,
    database_template: str,
    s3_server: EmbeddedS3,
    s3_client: S3Client,
) -> AsyncIterator[Runs]:
    """The elections of all cells that this process was told to test."""
    binaries = sandbox_binaries(tmp_path_factory.mktemp("bin"))

    @asynccontextmanager
    async def place(walk: Walk) -> AsyncIterator[Place]:
        name = f"matrix_{next(_numbers)}"
        bucket = Bucket(s3_server.endpoint_url, name.replace("_", "-"), s3_client)
        s3_client.create_bucket(Bucket=bucket.name)
        async with AsyncExitStack() as stack:
            if FAULTS[walk.fault].own_postgres:
                server = await stack.enter_async_context(EmbeddedPostgres(fast=True))
                database_url = await prepared(server, name)
            else:
                server = postgres_server
                database_url = await server.create_database(name, template=database_template)
                stack.push_async_callback(server.drop_database, name)
            outside = Outside(database_url, bucket.endpoint_url, bucket.name)
            yield Place(tmp_path_factory.mktemp(str(walk)), outside, bucket, server, binaries)

    cells: list[Cell] = [
        item.callspec.params["cell"]  # type: ignore[misc]  # whatever a test is given
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.function is test_fault
    ]
    running = Runs(cells, place, alone="PYTEST_XDIST_WORKER" not in os.environ)
    yield running
    await running.close()


async def prepared(server: EmbeddedPostgres, name: str) -> str:
    """The URL of a database with roles and schema on a *server* of its own."""
    url = await server.create_database(name)
    await make_roles(url)
    async with _one_upgrade:
        await upgrade(DatabaseRole.OWNER.url(url))
    await grant(url)
    return url


@pytest.mark.parametrize(
    "cell", [pytest.param(cell, id=str(cell), marks=pytest.mark.xdist_group(group_of(cell.fault))) for cell in CELLS]
)
async def test_fault(runs: Runs, cell: Cell) -> None:
    await runs.outcome(cell)
