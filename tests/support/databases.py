"""A database of the test's own, as fixtures: through the adapter, and through plain SQL."""

from collections.abc import AsyncIterator

import asyncpg
import pytest_asyncio

from node_fsm.database.adapter import PostgresDatabase


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[PostgresDatabase]:
    """The adapter on the test's database, as a service uses it."""
    adapter = PostgresDatabase(database_url)
    yield adapter
    await adapter.close()


@pytest_asyncio.fixture
async def sql(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of an operator's."""
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    yield connection
    await connection.close()
