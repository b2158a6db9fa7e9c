"""Rows in which anything stands that a column's type allows: whoever reads them says so, or goes on without.

The schema is one without its checks, as an operator may have made it.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from node_fsm.core.errors import LONGEST_MESSAGE, PermanentError
from node_fsm.core.phases import Phase
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.database.cluster_status import cluster_status
from node_fsm.database.election_show import describe_election, list_elections
from node_fsm.sidecar.page.render import Reading, Renderer
from node_fsm.sidecar.page.runbook import anchors, packaged_runbook
from tests.database.conftest import election
from tests.database.test_unreadable import drop_checks, fill
from tests.database.world import add_election
from tests.security.hostile import ESCAPE
from tests.sidecar.page import scenes
from tests.support.databases import database, sql

__all__ = ["database", "election", "sql"]

pytestmark = pytest.mark.faults

COLUMNS = (
    "SELECT table_name, column_name, data_type, is_identity = 'YES' FROM information_schema.columns"
    " JOIN information_schema.tables USING (table_schema, table_name) WHERE table_schema = 'public'"
    " AND table_type = 'BASE TABLE' AND table_name <> 'alembic_version' AND is_generated = 'NEVER' ORDER BY 1, 2"
)
NAIVE = [{"type": "isolated", "reason": "x", "message": "y", "since": "2026-01-01T00:00:00"}]
DOCUMENTS: tuple[object, ...] = (
    None,
    1,
    [],
    {},
    [[]],
    [{}],
    [None],
    [{"since": 1}],
    "text",
    {"block0": 1},
    10**400,
    NAIVE,
)
_ATTACK = f"E'{ESCAPE.encode('unicode_escape').decode()}'"
VALUES = {
    "text": ("''", "repeat('x', 1000000)", _ATTACK),
    "ARRAY": ("'{}'", "ARRAY[NULL]::text[]", f"ARRAY[{_ATTACK}]"),
    "jsonb": tuple(f"'{json.dumps(document)}'" for document in DOCUMENTS),
    "integer": ("-2147483648", "0", "2147483647"),
    "bigint": ("-9223372036854775808", "0", "9223372036854775807"),
    "bytea": ("''", "'\\x00'"),
}
"""By type, as SQL is given it."""

REFUSED = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.DataError,
    asyncpg.ProgramLimitExceededError,
)


async def test_a_value_that_nobody_foresaw_is_said_or_passed_over(
    database: PostgresDatabase, sql: asyncpg.Connection, election: int, tmp_path: Path
) -> None:
    block0_hash = await fill(database, sql, election, tmp_path)
    await add_election(sql, "Other")
    await sql.execute("UPDATE node_status SET conditions = '{isolated}'")
    await drop_checks(sql)
    await sql.execute("SET session_replication_role = replica")
    renderer = Renderer(anchors(packaged_runbook().read_text()))
    tried = 0
    columns = await sql.fetch(COLUMNS)
    for table, column, type_, is_identity in columns:
        names = [name for of, name, *_ in columns if of == table]
        for value in () if is_identity else VALUES.get(type_, ()):
            async with restored(sql, table, names):
                try:
                    await sql.execute(f'UPDATE "{table}" SET "{column}" = {value}')
                except REFUSED:
                    continue
                tried += 1
                await read_all(database, block0_hash, election, renderer)
    assert tried > 200


@asynccontextmanager
async def restored(sql: asyncpg.Connection, table: str, names: list[str]) -> AsyncIterator[None]:
    """The table's rows are afterwards what they were before."""
    listed = ", ".join(f'"{name}"' for name in names)
    await sql.execute(f'CREATE TABLE kept AS SELECT * FROM "{table}"')
    try:
        yield
    finally:
        await sql.execute(f'DELETE FROM "{table}"')
        await sql.execute(f'INSERT INTO "{table}" ({listed}) OVERRIDING SYSTEM VALUE SELECT {listed} FROM kept')
        await sql.execute("DROP TABLE kept")


async def read_all(database: PostgresDatabase, block0_hash: str, election: int, renderer: Renderer) -> None:
    """Read what services, commands and the status page read; an error that a person can act on is fine."""

    async def draw_page() -> None:
        reading = Reading(await cluster_status(database.session))
        renderer.sections(replace(scenes.known(Phase.RUNNING), now=datetime.now(UTC), reading=reading))

    reads: list[Callable[[], Awaitable[object]]] = [
        lambda: database.overview([block0_hash]),
        lambda: database.specification(election),
        lambda: database.neighbours(block0_hash, "other host"),
        lambda: database.archive(block0_hash),
        lambda: database.publication(block0_hash),
        lambda: database.results(block0_hash),
        lambda: database.uncounted(block0_hash),
        lambda: database.tally_snapshots(block0_hash),
        lambda: database.chain_copies(block0_hash),
        lambda: list_elections(database.session),
        lambda: describe_election(database.session, "Fund 1"),
        draw_page,
    ]
    for read in reads:
        message = ""
        try:
            await read()
        except PermanentError as error:
            message = error.message
        assert len(message) <= LONGEST_MESSAGE + 1
