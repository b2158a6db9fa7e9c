"""The journal's rows, written on their own or together with what they tell."""

from collections.abc import Sequence

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from node_fsm.core.model import JournalEntry
from node_fsm.database import tables


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


def storable(text: str) -> str:
    """*text* without what Postgres keeps in no text, as the words of other programs may have it.

    What it refuses would be tried again for ever, and all later ones behind it.
    """
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
