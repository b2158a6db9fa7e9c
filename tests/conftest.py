"""The servers and binaries that tests share."""

import os
import signal
import uuid
from collections.abc import AsyncIterator
from itertools import count

import hypothesis
import pytest
import pytest_asyncio
from mypy_boto3_s3 import S3Client
from node_fsm_sandbox.servers.postgres import EmbeddedPostgres
from node_fsm_sandbox.servers.s3 import CREDENTIALS, EmbeddedS3

from tests.support.bucket import Bucket
from tests.support.roles import DatabaseRole, grant, make_roles

# A deadline of an example is one of speed, which a busy machine misses.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")

pytest_plugins = ["tests.support.groups", "tests.support.real", "tests.support.order"]

_numbers = count(1)


def pytest_configure(config: pytest.Config) -> None:
    """Keep what the shell is set up for, accounts and services above all, out of the tests."""
    from tests.support.real import VARIABLES  # a plugin: pytest wants to be the first to import it

    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    for name in list(os.environ):
        if name.startswith(("AWS_", "NODE_FSM_")) and name not in VARIABLES.values():
            patch.delenv(name)
    for name, value in CREDENTIALS.items():
        patch.setenv(name, value)
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    patch.setenv("AWS_CONFIG_FILE", os.devnull)
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    patch.setenv("NO_PROXY", "127.0.0.1,localhost")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a shell without job control
        signal.signal(signal.SIGINT, signal.default_int_handler)  # which programs of the tests are to hear


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres_server() -> AsyncIterator[EmbeddedPostgres]:
    """The Postgres of all tests. One that breaks the server takes an EmbeddedPostgres of its own."""
    async with EmbeddedPostgres(fast=True) as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def database_template(postgres_server: EmbeddedPostgres) -> str:
    """The name of a database with the schema, its roles and no rows; tests are given copies."""
    from node_fsm.database.migrate import upgrade

    name = "migrated"
    url = await postgres_server.create_database(name)
    await make_roles(url)
    await upgrade(DatabaseRole.OWNER.url(url))
    await grant(url)
    return name


@pytest_asyncio.fixture
async def database_url(postgres_server: EmbeddedPostgres, database_template: str) -> AsyncIterator[str]:
    """The SQLAlchemy URL of a database of the test's own, with the schema and no rows."""
    name = f"test_{next(_numbers)}"
    yield await postgres_server.create_database(name, template=database_template)
    await postgres_server.drop_database(name)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def s3_server() -> AsyncIterator[EmbeddedS3]:
    """The S3 of all tests. One that breaks the server takes an EmbeddedS3 of its own."""
    async with EmbeddedS3() as server:
        yield server


@pytest.fixture(scope="session")
def s3_client(s3_server: EmbeddedS3) -> S3Client:
    """A client of the S3 of all tests."""
    return s3_server.client()


@pytest.fixture
def s3_bucket(s3_server: EmbeddedS3, s3_client: S3Client) -> Bucket:
    """An empty bucket of the test's own."""
    name = f"test-{uuid.uuid4()}"
    s3_client.create_bucket(Bucket=name)
    return Bucket(s3_server.endpoint_url, name, s3_client)
