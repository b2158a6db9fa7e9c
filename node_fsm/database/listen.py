"""Notifications of changes. They are hints to look again: what is lost is found by the next scan."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn
from uuid import uuid4

import asyncpg
from loguru import logger
from sqlalchemy import text

from node_fsm.core.backoff import Backoff
from node_fsm.core.errors import PermanentError, ServiceError
from node_fsm.database.errors import translated
from node_fsm.database.session import Session

CHANNEL = "node_fsm"

_NOTIFY = text("SELECT pg_notify(:channel, '')")

BURST_SECONDS = 1.0
"""Between two calls while notifications keep coming: an edit script sends hundreds a second."""

SPARE_SECONDS = 2.0
"""How far calls may be ahead of that, so that a cancel right after an import is not kept waiting."""


RETRY = Backoff(first=0.5, longest=10.0)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: of silence before a connection is tested, for its answer, between attempts to connect."""

    silence: float = 10.0
    answer: float = 5.0
    retry: Backoff = RETRY


PATIENCE = Patience()


class Changes:
    """Of the Database port: LISTEN on a connection of its own."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._on_change: Callable[[], None] = lambda: None

    def tell(self) -> None:
        """Call whoever listens: there is something new to read."""
        self._on_change()

    async def listen(
        self,
        on_change: Callable[[], None],
        on_problem: Callable[[tuple[str, str] | None], None],
        patience: Patience = PATIENCE,
    ) -> NoReturn:
        """Listen until cancelled, whatever happens to the connection.

        *on_change* is called at the first few notifications, and about once a second while more come; also after each
        reconnection. *on_problem* is given (reason, message) while nothing is listened to, and None when it is.
        """
        self._on_change = on_change
        failures = 0
        try:
            while True:
                failures += 1
                try:
                    await self._follow(on_problem, patience)
                except ServiceError as error:
                    problem = (error.reason, error.message)
                except Exception as error:  # noqa: BLE001 - whatever it was, the next connection may be without it
                    logger.opt(exception=error).error("listening to the database ended unexpectedly")
                    problem = ("UnexpectedError", f"{type(error).__name__}: {error}")
                else:
                    failures = 1  # it had listened
                    problem = ("DatabaseUnavailable", "the connection to the database was lost")
                reason, message = problem
                on_problem((reason, f"changes in the database are only seen by scans: {message}"))
                await asyncio.sleep(patience.retry.delay(failures))
        finally:
            self._on_change = lambda: None

    async def _follow(self, on_problem: Callable[[tuple[str, str] | None], None], patience: Patience) -> None:
        """Listen on one connection; returns when it is lost, raises when it cannot be had."""
        burst = Burst(self.tell)
        with translated(connecting=True):
            connection = await self._session.connect()
        try:
            with translated():
                async with asyncio.timeout(patience.answer):
                    await connection.add_listener(CHANNEL, lambda *_: burst.signal())
            await prove(self._session, connection, patience.answer)
            logger.debug("listening to notifications from the database")
            on_problem(None)
            self.tell()  # it listens first and reads then: nothing falls between the two
            await _until_lost(connection, patience)
        finally:
            burst.close()
            connection.terminate()


async def notifications_arrive(session: Session, seconds: float) -> None:
    """See that a connection hears what another one says; raises as :func:`prove` and the session do."""
    with translated(connecting=True):
        connection = await session.connect()
    try:
        await prove(session, connection, seconds)
    finally:
        connection.terminate()


async def prove(session: Session, connection: asyncpg.Connection, seconds: float) -> None:
    """See that *connection* hears what another one says; PermanentError when it does not.

    A pooler that gives the server away between transactions takes the LISTEN, and delivers nothing.
    """
    channel, heard = f"{CHANNEL}_{uuid4().hex}", asyncio.Event()
    with translated():
        async with asyncio.timeout(seconds):
            await connection.add_listener(channel, lambda *_: heard.set())
    async with session.transaction("notify") as other:
        await other.execute(_NOTIFY, {"channel": channel})
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await heard.wait()
    if not heard.is_set():
        raise PermanentError(
            "PoolerUnsuitable",
            "the database takes LISTEN and delivers nothing; behind a pooler in transaction or statement mode the"
            " service cannot work: give it a pool in session mode, or connect it to Postgres itself",
        )


class Burst:
    """Calls *function* at the first few signals at once, then once in BURST_SECONDS; always after the last one."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time()
        """When the next call would come if all had kept their distance."""
        self._timer: asyncio.TimerHandle | None = None

    def signal(self) -> None:
        """Have *function* called, now or soon."""
        if self._timer is None:
            self._timer = self._loop.call_at(self._due - SPARE_SECONDS, self._call)

    def close(self) -> None:
        """Call no more."""
        if self._timer:
            self._timer.cancel()

    def _call(self) -> None:
        self._timer = None
        self._due = max(self._due, self._loop.time()) + BURST_SECONDS
        self._function()


async def _until_lost(connection: asyncpg.Connection, patience: Patience) -> None:
    """Test the connection now and then, since one whose other end vanished says nothing; returns when it is lost."""
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _: lost.set())
    while not connection.is_closed():
        with suppress(TimeoutError):
            async with asyncio.timeout(patience.silence):
                await lost.wait()
        try:
            with translated():
                async with asyncio.timeout(patience.answer):
                    await connection.fetchval("SELECT 1")
        except ServiceError as error:
            logger.debug("the connection that listens is given up: {}", error)
            return
