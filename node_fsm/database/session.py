"""What every part of the adapter stands on: transactions with a deadline, and rows in batches."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from typing import Any, cast

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from node_fsm.core.errors import TemporaryError
from node_fsm.database.connect import Servers, create_engine, parse_url
from node_fsm.database.errors import READ_ONLY, translated

QUERY_SECONDS = 8.0
"""For all that is small."""

BULK_SECONDS = 300.0
"""For what grows with block 0 or with the voters."""

Timed = Callable[[str], AbstractContextManager[None]]
"""Given the name of an operation, a context manager that times it."""

_START = text("SELECT set_config('statement_timeout', :milliseconds, true)")


class Session:
    """A pool of connections to one database; connects when needed and forgets connections that broke.

    Raises PermanentError when *url* cannot be used. Operations raise TemporaryError when the database is away, slow,
    busy or read-only, PermanentError when a person must mend something.
    """

    def __init__(self, url: str, *, timed: Timed = lambda _: nullcontext()) -> None:
        parsed = parse_url(url)
        self._servers = Servers(parsed)
        self._engine = create_engine(parsed, self._servers)
        self._timed = timed

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    async def connect(self) -> asyncpg.Connection:
        """A connection of its own, outside the pool, to the same database. Raises what asyncpg raises."""
        return await self._servers.connect()

    @asynccontextmanager
    async def transaction(
        self, operation: str, seconds: float = QUERY_SECONDS, *, snapshot: bool = False
    ) -> AsyncIterator[AsyncConnection]:
        """A transaction that must end within *seconds*, each of its statements too; committed on leaving.

        With *snapshot* it only reads, and all its statements see the same state of the database.
        """
        with self._timed(operation):
            async with self._translated(), asyncio.timeout(seconds), self._begun(seconds, snapshot) as connection:
                yield connection

    async def batches(self, query: str, *arguments: Any, size: int) -> AsyncGenerator[list[asyncpg.Record], None]:
        """The rows of *query* (with ``$1``, ``$2``…) in lists of at most *size*, through a cursor.

        The reader may take its time, in which the server makes the next list; each must come within BULK_SECONDS.
        """
        async with self._translated(), AsyncExitStack() as stack:
            async with asyncio.timeout(BULK_SECONDS):
                connection = await stack.enter_async_context(self._begun(BULK_SECONDS, snapshot=True))
                cursor = await (await driver(connection)).cursor(query, *arguments)
            following = asyncio.create_task(_fetch(cursor, size))
            try:
                while rows := await following:
                    following = asyncio.create_task(_fetch(cursor, size))
                    await asyncio.sleep(0)  # so that the server is asked before the reader is at work
                    yield rows
            finally:  # before the transaction ends
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)

    @asynccontextmanager
    async def _begun(self, seconds: float, snapshot: bool) -> AsyncIterator[AsyncConnection]:
        async with AsyncExitStack() as stack:
            with translated(connecting=True):
                connection = await stack.enter_async_context(self._engine.connect())
            if snapshot:
                await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            await stack.enter_async_context(connection.begin())
            # The first statement: from here on the driver's own connection is in the transaction, too.
            await connection.execute(_START, {"milliseconds": str(round(seconds * 1000))})
            yield connection

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        try:
            with translated():
                yield
        except TemporaryError as error:
            if error.reason == READ_ONLY:
                await self._engine.dispose()  # the server may not be the primary any more: connect anew
            raise


async def _fetch(cursor: Any, size: int) -> list[asyncpg.Record]:
    async with asyncio.timeout(BULK_SECONDS):
        return cast("list[asyncpg.Record]", await cursor.fetch(size))


async def driver(connection: AsyncConnection) -> asyncpg.Connection:
    """asyncpg's own connection under *connection*, for COPY and cursors."""
    return (await connection.get_raw_connection()).driver_connection
