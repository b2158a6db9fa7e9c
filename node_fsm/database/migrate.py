"""Bringing a database to the newest schema: the migrations ship in the package."""

from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
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


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema: its number, and what it is for."""

    revision: str
    title: str


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What was done: the schema *before* (None: there was none) and *after*, and the migrations that were *applied*.

    *broken* has ``table.constraint`` of those new constraints that rows which stand already break.
    """

    before: str | None
    after: str | None
    applied: tuple[Migration, ...]
    broken: tuple[str, ...]


async def upgrade(url: str, revision: str = "head") -> Upgrade:
    """Apply the migrations up to *revision* that the database has not seen, all or none; concurrent calls wait.

    Raises TemporaryError when the database is away, PermanentError when it refuses, or is newer than this service.
    """
    session = Session(url)
    try:
        async with session.transaction("upgrade", UPGRADE_SECONDS) as connection:
            await connection.execute(_WAIT)
            await connection.execute(_LOCK)
            before, after, applied = await connection.run_sync(_upgrade, revision)
            return Upgrade(before, after, applied, tuple(await connection.scalars(_BROKEN)))
    except CommandError as error:
        raise PermanentError("DatabaseSchemaUnknown", f"{error}; was it made by a newer node-fsm?") from error
    finally:
        await session.close()


def configuration() -> Config:
    """Where alembic finds the migrations."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    return config


def _upgrade(connection: Connection, revision: str) -> tuple[str | None, str | None, tuple[Migration, ...]]:
    config = configuration()
    config.attributes["connection"] = connection
    before = MigrationContext.configure(connection).get_current_revision()
    command.upgrade(config, revision)
    after = MigrationContext.configure(connection).get_current_revision()
    scripts = ScriptDirectory.from_config(config)
    applied = scripts.iterate_revisions(after or "base", before or "base")
    return before, after, tuple(Migration(script.revision, script.doc.partition("\n")[0]) for script in applied)[::-1]
