"""What the database is: its server, and whether it has the schema of this version. It only asks."""

from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from alembic.script import ScriptDirectory
from sqlalchemy import text

from node_fsm.core.errors import PermanentError
from node_fsm.database import tables
from node_fsm.database.migrate import configuration
from node_fsm.database.session import Session

OLDEST_SERVER = 15
"""The first Postgres that knows NULLS NOT DISTINCT."""

_SERVER = text("""
    SELECT current_setting('server_version_num')::integer / 10000 AS version, current_user AS login,
        current_database() AS database, current_schema() AS schema,
        current_setting('transaction_read_only') = 'on' OR pg_is_in_recovery() AS is_read_only,
        clock_timestamp() AS time
""")
_COLUMNS = text("""
    SELECT relname, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE pg_class.oid = to_regclass(relname::text) AND attnum > 0 AND NOT attisdropped
        AND relname = ANY(:tables)
""")
_REVISION = text("SELECT version_num FROM alembic_version")
_VOTERS = text("""
    SELECT coalesce(max(voters), 0) FROM (
        SELECT count(*) AS voters FROM election JOIN voter ON voter.election = election.id
        WHERE voting_end > now() AND cancelled_at IS NULL GROUP BY election.id
    ) AS elections
""")


@dataclass(frozen=True, slots=True)
class Server:
    """The server that answers, who we are to it, and its time; *schema* is None when the login may use none."""

    version: int
    login: str
    database: str
    schema: str | None
    is_read_only: bool
    time: datetime


async def inspect_server(session: Session) -> Server:
    """What answers; raises TemporaryError when nothing does, PermanentError when it refuses the login."""
    async with session.transaction("server") as connection:
        return Server(**(await connection.execute(_SERVER)).one()._mapping)


async def schema_problem(session: Session) -> str | None:
    """What keeps this version from working on the schema that is there, and what to do; None when it is its own."""
    expected = {name: {column.name for column in table.columns} for name, table in tables.metadata.tables.items()}
    found: defaultdict[str, set[str]] = defaultdict(set)
    async with session.transaction("schema", snapshot=True) as connection:
        for row in await connection.execute(_COLUMNS, {"tables": list(expected)}):
            found[row.relname].add(row.attname)
    if not found:
        return "there are no tables of node-fsm; `node-fsm db upgrade` makes them, by the owner's login"
    missing = sorted(
        f"{table}.{column}" for table, columns in expected.items() for column in columns - found.get(table, set())
    )
    if missing:
        return f"{', '.join(missing[:5])} and {len(missing)} columns in all are missing; run `node-fsm db upgrade`"
    revision, newest = await _revision(session), newest_revision()
    if revision is None or revision == newest:
        return None
    if revision in {known.revision for known in _scripts().walk_revisions()}:
        return f"the schema is at {revision} and this version has {newest}; run `node-fsm db upgrade`"
    return f"the schema is at {revision}, which is newer than this version's {newest}; install the newer node-fsm"


def newest_revision() -> str:
    """The schema's revision that this version has."""
    head = _scripts().get_current_head()
    assert head is not None, "there are migrations"
    return head


async def voters_to_come(session: Session) -> int:
    """The voters of the largest election to come; 0 also where the login may not read them."""
    with suppress(PermanentError):
        async with session.transaction("voters_to_come", 60, snapshot=True) as connection:
            return int(await connection.scalar(_VOTERS))
    return 0


async def _revision(session: Session) -> str | None:
    """The revision that stands in the database; None where the login may not read it."""
    with suppress(PermanentError):
        async with session.transaction("revision", snapshot=True) as connection:
            return str(await connection.scalar(_REVISION))
    return None


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(configuration())
