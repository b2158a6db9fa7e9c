"""How to reach the database: its URL, the engine with its pool, and single connections beside it."""

from typing import Any

import asyncpg
from sqlalchemy import URL, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from node_fsm.core.errors import PermanentError
from node_fsm.database.times import read_any_time
from node_fsm.settings.types import wrong_database_options

CONNECT_SECONDS = 5.0
LOCK_SECONDS = 5.0
IDLE_IN_TRANSACTION_SECONDS = 60.0

_DRIVER = "postgresql+asyncpg"
_SCHEMES = ("postgres", "postgresql", _DRIVER)

_CONNECT_ARGUMENTS: dict[str, Any] = {
    "timeout": CONNECT_SECONDS,
    "server_settings": {
        "application_name": "node-fsm",
        "lock_timeout": f"{LOCK_SECONDS:g}s",
        # A service that is stopped in the middle of a transaction must not keep its locks for ever.
        "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_SECONDS:g}s",
        # A server's defaults notice a lost client after hours.
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "2",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": "10s",
    },
}


def parse_url(url: str) -> URL:
    """The URL of a Postgres database, with or without the driver's name, as SQLAlchemy reads it.

    PermanentError ``DatabaseUrlInvalid`` says what is wrong without repeating the URL, which has the password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise _invalid("it must be postgresql://USER:PASSWORD@HOST:PORT/DATABASE, special characters encoded") from None
    if parsed.drivername not in _SCHEMES:
        raise _invalid(f"its scheme is {parsed.drivername!r} and must be one of {', '.join(_SCHEMES)}")
    if wrong := wrong_database_options(parsed.query):
        raise _invalid(wrong)
    return parsed.set(drivername=_DRIVER)


def create_engine(url: str) -> AsyncEngine:
    """A lazy pool of a few connections; nothing is connected before it is needed. Raises as :func:`parse_url`."""
    engine = create_async_engine(
        parse_url(url),
        connect_args=_CONNECT_ARGUMENTS,
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


async def connect(engine: AsyncEngine) -> asyncpg.Connection:
    """A connection of its own, outside the engine's pool, to the same database. Raises what asyncpg raises."""
    arguments = engine.dialect.create_connect_args(engine.url)[1]
    return await asyncpg.connect(**arguments, **_CONNECT_ARGUMENTS)


def _invalid(problem: str) -> PermanentError:
    return PermanentError("DatabaseUrlInvalid", f"NODE_FSM_DATABASE_URL cannot be used: {problem}")
