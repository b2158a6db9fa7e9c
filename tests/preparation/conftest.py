"""A set-up of the test's own, with a database and a bucket of its own."""

from pathlib import Path

import asyncpg
import pytest_asyncio

from node_fsm.database.adapter import PostgresDatabase
from tests.preparation.world import World
from tests.support.bucket import Bucket
from tests.support.databases import database, sql

__all__ = ["database", "sql"]


@pytest_asyncio.fixture
async def world(
    tmp_path: Path, database: PostgresDatabase, sql: asyncpg.Connection, database_url: str, s3_bucket: Bucket
) -> World:
    """Leader 0's machine, ready for an election."""
    return await World.make(tmp_path, database, sql, database_url, s3_bucket)
