"""Bringing a database to the newest schema: the migrations ship in the package."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, text

from node_fsm.core.errors import PermanentError
from node_fsm.database.session import Session

UPGRADE_SECONDS = 600.0

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('node-fsm schema', 0))")
_BROKEN = text("""
    SELECT conrelid::regclass || '.' || conname FROM pg_constraint
    WHERE NOT convalidated AND connamespace = current_schema()::regnamespace ORDER BY 1
""")
_WAIT = text("SELECT set_config('lock_timeout', '0', true)")


async def upgrade(url: str, revision: str = "head") -> tuple[str, ...]:
    """Apply the migrations up to *revision* that the database has not seen, all or none; concurrent calls wait.

    Returns ``table.constraint`` of those new constraints that rows which stand already break: nothing else is wrong.
    Raises TemporaryError when the database is away, PermanentError when it refuses, or is newer than this service.
    """
    session = Session(url)
    try:
        async with session.transaction("upgrade", UPGRADE_SECONDS) as connection:
            await connection.execute(_WAIT)
            await connection.execute(_LOCK)
            await connection.run_sync(_upgrade, revision)
            return tuple(await connection.scalars(_BROKEN))
    except CommandError as error:
        raise PermanentError("DatabaseSchemaUnknown", f"{error}; was it made by a newer node-fsm?") from error
    finally:
        await session.close()


def _upgrade(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
