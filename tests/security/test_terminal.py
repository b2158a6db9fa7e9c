"""What others wrote steers no terminal, forges no line of what a command prints, and goes into no shell."""

from pathlib import Path

import asyncpg
import pytest

from node_fsm.archive.manifest import Manifest
from node_fsm.database.adapter import PostgresDatabase
from tests.archive.test_hostile_archives import forge, unpacked
from tests.cli.commands import invoke
from tests.database.conftest import election
from tests.database.test_unreadable import drop_checks, fill
from tests.security.hostile import ESCAPE
from tests.support.databases import database, sql

__all__ = ["database", "election", "sql", "unpacked"]

TEXTS = (
    "SELECT table_name, column_name, data_type FROM information_schema.columns"
    " JOIN information_schema.tables USING (table_schema, table_name) WHERE table_schema = 'public'"
    " AND table_type = 'BASE TABLE' AND table_name <> 'alembic_version' AND is_generated = 'NEVER'"
    " AND (data_type = 'text' OR data_type = 'ARRAY')"
)
SERVICE_OWN = {"kind", "payload_type", "block0_hash", "chain_id"}
"""Columns of what the service writes itself: another value has the whole row refused."""

FORGED = ESCAPE.splitlines()[-1].split("\u202e")[0]
SHOWN = {
    ("status",): 3,
    ("journal",): 0,
    ("journal", "--output", "json"): 0,
    ("election", "list"): 0,
    ("election", "list", "--output", "json"): 0,
    ("election", "show", ESCAPE): 0,
    ("election", "results", ESCAPE): 0,
    ("node", "list"): 0,
    ("archive", "list"): 0,
    ("plan",): 1,
}
"""Commands, and what they end with."""


def assert_harmless(printed: str) -> None:
    assert not {character for character in printed if not character.isprintable()} - {"\n"}
    assert "\u202e" not in printed
    assert [line for line in printed.splitlines() if line.startswith(FORGED)] == []


async def test_rows_do_nothing_to_a_terminal(
    database: PostgresDatabase,
    sql: asyncpg.Connection,
    election: int,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await fill(database, sql, election, tmp_path)
    await drop_checks(sql)
    await sql.execute("SET session_replication_role = replica")
    written = 0
    for table, column, type_ in await sql.fetch(TEXTS):
        if column not in SERVICE_OWN and table != "voter":
            await sql.execute(f'UPDATE "{table}" SET "{column}" = {"ARRAY[$1]" if type_ == "ARRAY" else "$1"}', ESCAPE)
            written += 1
    assert written > 30
    monkeypatch.setenv("NODE_FSM_DATABASE_URL", database_url)
    for command, code in SHOWN.items():
        assert_harmless((await invoke(*command, code=code)).output)


@pytest.mark.parametrize("field", ["created_at", "untallied", "fingerprint"])
async def test_archives_do_nothing_to_a_terminal(unpacked: Path, field: str) -> None:
    def change(manifest: Manifest) -> Manifest:
        return manifest.model_copy(update={field: ESCAPE})

    forge(unpacked, change)
    assert_harmless((await invoke("verify", unpacked)).output)
