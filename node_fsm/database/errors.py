"""What went wrong with the database, in the service's two kinds of errors."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from node_fsm.core.errors import PermanentError, ServiceError, TemporaryError

READ_ONLY = "DatabaseReadOnly"

LOST_CONNECTION = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""What the tasks of a connection end with when it is lost."""

DRIVER_ERRORS = (
    SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    ConnectionError,
    TimeoutError,
    ArithmeticError,
    ValueError,
)
"""What a connection raises once it stands; of values that it cannot read or write, Python's own errors, too.

Not OSError: a full disk is not the database's fault.
"""

_READ_ONLY_TRANSACTION = "25006"
_CANCELLED = "57014"
_LOCK_NOT_AVAILABLE = "55P03"
_IDLE_IN_TRANSACTION = "25P03"
_DEADLOCK_CLASS = "40"
_UNAVAILABLE_CLASSES = {"08", "53", "57", "58"}
"""Connection lost, resources used up, shutting down or starting up, and errors of the server's own system."""
_REFUSED = {"28000", "28P01", "3D000", "42501"}
"""Wrong user or password, no such database, a missing grant."""
_ANOTHER_SESSION = {"26000", "42P05"}
"""A prepared statement that is not there, or there already: a pooler gave this server to somebody else meanwhile."""
_OUTDATED_SCHEMA = {"42P01", "42703", "42883", "3F000"}
"""No such table, column, function or schema."""


@contextmanager
def translated(*, connecting: bool = False) -> Iterator[None]:
    """Raise what the driver raises as TemporaryError or PermanentError; *connecting* also every OSError."""
    try:
        yield
    except ServiceError:
        raise
    except DRIVER_ERRORS as error:
        raise translate(error) from error
    except OSError as error:
        if connecting:
            raise translate(error) from error
        raise


def translate(error: Exception) -> ServiceError:
    """The ServiceError that says what *error* of the driver means; its message never has the URL."""
    if isinstance(error, PoolTimeoutError):
        return TemporaryError("DatabaseBusy", "all connections to the database are in use")
    if isinstance(error, TimeoutError):
        return TemporaryError("DatabaseTimeout", "the database did not answer in time")
    original: BaseException = error
    if isinstance(error, DBAPIError) and error.orig is not None:
        original = error.orig.__cause__ or error.orig
    message = (str(original).splitlines() or [type(original).__name__])[0]
    sqlstate = getattr(original, "sqlstate", None)
    if sqlstate:
        return _by_state(sqlstate, message)
    if isinstance(original, asyncpg.InterfaceError | OSError) and not isinstance(original, ValueError):
        return TemporaryError("DatabaseUnavailable", f"the database cannot be reached: {message}")
    return PermanentError("DatabaseError", f"{type(original).__name__}: {message}")


def _by_state(sqlstate: str, message: str) -> ServiceError:
    if sqlstate == _READ_ONLY_TRANSACTION:
        return TemporaryError(READ_ONLY, f"the database takes no writes: {message}")
    if sqlstate == _CANCELLED:
        return TemporaryError("DatabaseTimeout", f"the database did not finish in time: {message}")
    if sqlstate == _LOCK_NOT_AVAILABLE or sqlstate.startswith(_DEADLOCK_CLASS):
        return TemporaryError("DatabaseBusy", f"somebody else works on the same rows: {message}")
    if sqlstate[:2] in _UNAVAILABLE_CLASSES or sqlstate == _IDLE_IN_TRANSACTION:
        return TemporaryError("DatabaseUnavailable", f"the database is not available: {message}")
    if sqlstate in _REFUSED:
        return PermanentError("DatabaseRefused", f"{message}; check NODE_FSM_DATABASE_URL and the role's grants")
    if sqlstate in _ANOTHER_SESSION:
        return PermanentError("PoolerUnsuitable", f"{message}; a pooler must be in session mode, or be left out")
    if sqlstate in _OUTDATED_SCHEMA:
        return PermanentError("DatabaseSchemaOutdated", f"{message}; run `node-fsm db upgrade`")
    return PermanentError("DatabaseError", f"{message} (SQLSTATE {sqlstate})")
