"""The journal's rows, written on their own or together with what they tell, and read for people."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from node_fsm.core.model import JournalEntry
from node_fsm.database import tables
from node_fsm.database.session import Session

_READ = text("""
    SELECT id, at, hostname, election_name AS election, "from", event, "to", reason FROM phase_journal
    WHERE id > :after
        AND (CAST(:election AS text) IS NULL OR election_name = :election)
        AND (CAST(:hostname AS text) IS NULL OR hostname = :hostname)
    ORDER BY id DESC LIMIT :limit
""")


async def write_entries(connection: AsyncConnection, entries: Sequence[JournalEntry]) -> None:
    """Append to ``phase_journal``; an entry that stands there already is not written twice."""
    rows = [
        {
            "hostname": entry.hostname,
            "election": entry.election_id,
            "election_name": entry.election_name,
            "from": entry.source,
            "event": entry.event,
            "to": entry.target,
            "at": entry.at,
            "reason": storable(entry.reason),
        }
        for entry in entries
    ]
    await connection.execute(insert(tables.phase_journal).on_conflict_do_nothing(), rows)


async def read_entries(
    session: Session, *, limit: int, after: int = 0, election: str | None = None, hostname: str | None = None
) -> list[dict[str, Any]]:
    """The last *limit* rows with an id above *after*, the oldest first, of the given election (name) and host.

    Ids are given before rows are committed, so that a row may show up after one with a higher id. A time that cannot be
    is text.
    """
    arguments = {"limit": limit, "after": after, "election": election, "hostname": hostname}
    async with session.transaction("read_entries") as connection:
        rows = [dict(row._mapping) for row in await connection.execute(_READ, arguments)]
    return rows[::-1]


def storable(text: str) -> str:
    """*text* without what Postgres keeps in no text, as the words of other programs may have it.

    What it refuses would be tried again for ever, and all later ones behind it.
    """
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
