"""A set-up of the test's own, with a database and a bucket of its own."""

from pathlib import Path

import asyncpg
import boto3
import pytest
import pytest_asyncio

from node_fsm.database.adapter import PostgresDatabase
from tests.preparation.world import World
from tests.support.bucket import Bucket
from tests.support.databases import database, sql

__all__ = ["database", "sql"]


@pytest.fixture(scope="session")
def boto_session() -> boto3.session.Session:
    """One for all stores: each of its own reads Amazon's description of S3 anew, which takes longer than a doctor."""
    return boto3.session.Session()


@pytest_asyncio.fixture
async def world(
    tmp_path: Path,
    database: PostgresDatabase,
    sql: asyncpg.Connection,
    database_url: str,
    s3_bucket: Bucket,
    boto_session: boto3.session.Session,
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    """Leader 0's machine, ready for an election."""
    monkeypatch.setattr("node_fsm.s3.store.boto3.session.Session", lambda **_: boto_session)
    return await World.make(tmp_path, database, sql, database_url, s3_bucket)
