"""Notifications of changes. They are hints to look again: what is lost is found by the next scan."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import NoReturn

import asyncpg
from loguru import logger

from node_fsm.database.connect import connect
from node_fsm.database.errors import DRIVER_ERRORS, translate
from node_fsm.database.session import Session

CHANNEL = "node_fsm"


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: of silence before a connection is tested, for its answer, between attempts to connect."""

    silence: float = 10.0
    answer: float = 5.0
    first_retry: float = 0.5
    longest_retry: float = 10.0


PATIENCE = Patience()


class Changes(Session):
    """``changes`` of the Database port: LISTEN on a connection of its own."""

    @asynccontextmanager
    async def changes(self, on_change: Callable[[], None], patience: Patience = PATIENCE) -> AsyncIterator[None]:
        """Call *on_change* for every notification of a change, and after each reconnection, while entered."""
        task = asyncio.create_task(self._follow(on_change, patience), name="notifications")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _follow(self, on_change: Callable[[], None], patience: Patience) -> NoReturn:
        delay = patience.first_retry
        while True:
            try:
                connection = await connect(self._engine)
                try:
                    await _begin(connection, on_change, patience)
                    delay = patience.first_retry
                    await _until_lost(connection, patience)
                finally:
                    connection.terminate()
            except (*DRIVER_ERRORS, OSError) as error:
                level = "WARNING" if delay == patience.first_retry else "DEBUG"
                logger.log(level, "no notifications from the database for now: {}", translate(error).message)
            await asyncio.sleep(delay * random.uniform(0.75, 1.25))  # noqa: S311 - jitter: nodes must not retry in step
            delay = min(2 * delay, patience.longest_retry)


async def _begin(connection: asyncpg.Connection, on_change: Callable[[], None], patience: Patience) -> None:
    """LISTEN first, then have everything read: nothing falls between the two."""
    async with asyncio.timeout(patience.answer):
        await connection.add_listener(CHANNEL, lambda *_: on_change())
    logger.debug("listening to notifications from the database")
    on_change()


async def _until_lost(connection: asyncpg.Connection, patience: Patience) -> NoReturn:
    """Test the connection now and then, since one whose other end vanished says nothing; raises when it is lost."""
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _: lost.set())
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(patience.silence):
                await lost.wait()
        async with asyncio.timeout(patience.answer):
            await connection.fetchval("SELECT 1")
