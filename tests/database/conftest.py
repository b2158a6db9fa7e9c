"""A database of the test's own: through the adapter, and through plain SQL as an operator's."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import asyncpg
import pytest
import pytest_asyncio

from tests.database.stands import MemoryStand, PostgresStand, Stand
from tests.database.world import add_election
from tests.support.databases import database, sql

__all__ = ["database", "sql"]


@pytest_asyncio.fixture(params=["postgres", "memory"])
async def stand(request: pytest.FixtureRequest, database_url: str, sql: asyncpg.Connection) -> AsyncIterator[Stand]:
    """Both databases, one after the other."""
    async with AsyncExitStack() as closing:
        yield MemoryStand() if request.param == "memory" else PostgresStand(database_url, sql, closing)


@pytest_asyncio.fixture
async def election(sql: asyncpg.Connection) -> int:
    """The id of an election that starts tomorrow."""
    return await add_election(sql)
