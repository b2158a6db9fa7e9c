"""How to reach the database: its URL, the engine with its pool, and single connections beside it."""

import asyncio
import socket
from typing import Any

import asyncpg
from sqlalchemy import URL, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from node_fsm.core.errors import PermanentError
from node_fsm.database.errors import LOST_CONNECTION
from node_fsm.database.times import read_any_time
from node_fsm.settings.types import spread_hosts, wrong_database_options

CONNECT_SECONDS = 5.0
ALL_SECONDS = 6.0
"""For all servers of a URL together: less than a statement may take, so that a silent one does not use up all of it."""

LOCK_SECONDS = 5.0
IDLE_IN_TRANSACTION_SECONDS = 60.0

_DRIVER = "postgresql+asyncpg"
_SCHEMES = ("postgres", "postgresql", _DRIVER)

# Set when the connection stands and not by its startup message, which poolers refuse to pass on.
_SETTINGS = {
    "lock_timeout": f"{LOCK_SECONDS:g}s",
    # A service that is stopped in the middle of a transaction must not keep its locks for ever.
    "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_SECONDS:g}s",
    # A server's defaults notice a lost client after hours.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10s",
}
_SET = "SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS settings (name, value)"


def parse_url(url: str) -> URL:
    """The URL of a Postgres database, with or without the driver's name, as SQLAlchemy reads it.

    PermanentError ``DatabaseUrlInvalid`` says what is wrong without repeating the URL, which has the password.
    """
    try:
        parsed = make_url(spread_hosts(url))
    except (ArgumentError, ValueError):
        raise _invalid("it must be postgresql://USER:PASSWORD@HOST:PORT/DATABASE, special characters encoded") from None
    if parsed.drivername not in _SCHEMES:
        raise _invalid(f"its scheme is {parsed.drivername!r} and must be one of {', '.join(_SCHEMES)}")
    if wrong := wrong_database_options(parsed.query):
        raise _invalid(wrong)
    return parsed.set(drivername=_DRIVER)


class Servers:
    """The servers that a URL names, and single connections to whichever of them answers and takes writes."""

    def __init__(self, url: URL) -> None:
        arguments: dict[str, Any] = dict(url.get_dialect()().create_connect_args(url)[1])
        hosts, ports = arguments.pop("host", None), arguments.pop("port", None)
        several = isinstance(hosts, list)
        self._addresses: list[tuple[Any, Any]] = list(zip(hosts, ports, strict=True)) if several else [(hosts, ports)]
        self._arguments = arguments
        self._seconds = min(CONNECT_SECONDS, ALL_SECONDS / len(self._addresses))
        self._is_told_which = "target_session_attrs" in arguments

    async def connect(self) -> asyncpg.Connection:
        """A connection; each server has its share of the time. Raises what asyncpg raises, of the last server.

        Of several the one that answered last comes first. Unless the URL says which to take, one that takes no writes
        is taken only when all others fail: after a failover the new primary is found.
        """
        readable: asyncpg.Connection | None = None
        failure: Exception | None = None
        for address in list(self._addresses):
            try:
                connection = await self._connect_to(address)
            except socket.gaierror as error:
                failure = socket.gaierror(
                    error.errno, f"{address[0]}: {error.strerror}"
                )  # which of itself names no host
                continue
            except LOST_CONNECTION as error:
                failure = error
                continue
            if len(self._addresses) == 1 or self._is_told_which or await _takes_writes(connection):
                self._addresses.sort(key=lambda each: each != address)
                if readable:
                    readable.terminate()
                return connection
            readable = readable or connection
        if readable:
            return readable
        assert failure is not None, "there is at least one server"
        raise failure

    async def _connect_to(self, address: tuple[Any, Any]) -> asyncpg.Connection:
        host, port = address
        connection = await asyncpg.connect(
            **self._arguments,
            **({} if host is None else {"host": host}),
            **({} if port is None else {"port": port}),
            timeout=self._seconds,
            server_settings={"application_name": "node-fsm"},
        )
        try:
            async with asyncio.timeout(self._seconds):
                await connection.fetch(_SET, list(_SETTINGS), list(_SETTINGS.values()))
        except BaseException:
            connection.terminate()
            raise
        return connection


async def _takes_writes(connection: asyncpg.Connection) -> bool:
    return bool(await connection.fetchval("SHOW transaction_read_only") == "off")


def create_engine(url: URL, servers: Servers) -> AsyncEngine:
    """A lazy pool of a few connections to *servers*; nothing is connected before it is needed."""
    engine = create_async_engine(
        url,
        async_creator=servers.connect,
        pool_size=4,
        max_overflow=4,
        pool_timeout=CONNECT_SECONDS,
        pool_pre_ping=True,
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "connect", _prepare)
    return engine


def _prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    connection.run_async(read_any_time)


def _invalid(problem: str) -> PermanentError:
    return PermanentError("DatabaseUrlInvalid", f"NODE_FSM_DATABASE_URL cannot be used: {problem}")
