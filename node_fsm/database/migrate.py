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
_WAIT = text("SELECT set_config('lock_timeout', '0', true)")


async def upgrade(url: str) -> None:
    """Apply the migrations that the database has not seen, all or none; concurrent calls wait for each other.

    Raises TemporaryError when the database is away, PermanentError when it refuses, or is newer than this service.
    """
    session = Session(url)
    try:
        async with session.transaction("upgrade", UPGRADE_SECONDS) as connection:
            await connection.execute(_WAIT)
            await connection.execute(_LOCK)
            await connection.run_sync(_upgrade)
    except CommandError as error:
        raise PermanentError("DatabaseSchemaUnknown", f"{error}; was it made by a newer node-fsm?") from error
    finally:
        await session.close()


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
