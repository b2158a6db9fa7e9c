"""The failpoints of a transaction: nothing written, all but the COMMIT, and the COMMIT's answer."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import asyncpg
import pytest
from node_fsm_sandbox.failpoints.around import arm

from node_fsm.core.errors import TemporaryError
from node_fsm.core.events import Event
from node_fsm.core.model import JournalEntry
from node_fsm.core.phases import Phase
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.ports import Database
from node_fsm.steps.context import Context
from tests.support.drawn import NOW

ENTRY = JournalEntry("leader0", 1, "first", Phase.WAITING, Event.KEY_FETCHED, Phase.FETCHING_KEY, NOW, "why")
COUNT = "SELECT count(*) FROM phase_journal"


def failing(database: PostgresDatabase, setting: str) -> Database:
    """The database, as a service with this setting has it."""
    ctx: Any = SimpleNamespace(
        phase=Phase.WAITING, database=database, store=object(), jcli=object(), node=object(), workspace=object()
    )
    arm(setting, cast("Context", ctx), [])
    return cast("Database", ctx.database)


@pytest.mark.parametrize(("moment", "written"), [("before", 0), ("done", 0), ("recorded", 1)])
async def test_a_transaction_is_recorded_by_its_commit(
    database: PostgresDatabase, sql: asyncpg.Connection, moment: str, written: int
) -> None:
    journal = failing(database, f"database.journal:{moment}=error").journal
    with pytest.raises(TemporaryError, match=rf"database\.journal:{moment}"):
        await journal([ENTRY])
    assert await sql.fetchval(COUNT) == written
    await journal([ENTRY])
    assert await sql.fetchval(COUNT) == 1


async def test_a_hanging_transaction_is_not_committed_when_its_caller_gives_up(
    database: PostgresDatabase, sql: asyncpg.Connection
) -> None:
    journal = failing(database, "database.journal:done=hang").journal
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await journal([ENTRY])
    assert await sql.fetchval(COUNT) == 0
    await journal([ENTRY])
    assert await sql.fetchval(COUNT) == 1
