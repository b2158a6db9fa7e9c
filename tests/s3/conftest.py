"""Stores on the S3 of all tests, and on one of a test's own to break."""

from collections.abc import AsyncIterator

import pytest
from node_fsm_sandbox.servers.s3 import EmbeddedS3

from node_fsm.s3.store import S3Store
from tests.support.bucket import Bucket


@pytest.fixture
async def store(s3_bucket: Bucket) -> AsyncIterator[S3Store]:
    store = S3Store(s3_bucket.endpoint_url)
    yield store
    await store.close()


@pytest.fixture
async def own_server() -> AsyncIterator[EmbeddedS3]:
    """A server with the bucket ``own-bucket``."""
    async with EmbeddedS3() as server:
        await server.make_bucket("own-bucket")
        yield server
