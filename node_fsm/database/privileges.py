"""What a service's login may have to do in the database, and whether it may. Nothing is tried: Postgres is asked."""

import re
from collections.abc import Iterator, Mapping

from sqlalchemy import text

from node_fsm.core.phases import Role
from node_fsm.database.session import Session

_READ = (
    *("archive", "archived_block", "chain_copy", "committee", "decryption_share", "election", "election_revision"),
    *("fragment_handover", "jorm_nodes", "lease", "node_status", "objective", "phase_journal", "proposal"),
    *("published_specification", "tally", "tally_confirmation", "tally_result", "uncounted_vote", "vote_plan"),
    "vote_plan_proposal",
)
_NODE: Mapping[str, tuple[str, ...]] = {
    "archive": ("INSERT",),
    "archived_block": ("INSERT",),
    "chain_copy": ("INSERT", "UPDATE"),
    "fragment_handover": ("INSERT", "UPDATE (from_host, resolved_at)"),
    "jorm_nodes": ("UPDATE (p2p_address)",),
    "node_status": ("INSERT", "UPDATE"),
    "phase_journal": ("INSERT",),
    "uncounted_vote": ("INSERT", "UPDATE (why)", "DELETE"),
}
_LEADER0: Mapping[str, tuple[str, ...]] = {
    "decryption_share": ("INSERT (vote_plan, snapshot_hash, committee_member, sha256, share)",),
    "election": ("UPDATE (extras)",),
    "election_revision": ("UPDATE (revision)",),
    "lease": ("INSERT", "UPDATE"),
    "published_specification": ("INSERT",),
    "tally": ("INSERT", "DELETE"),
    "tally_result": ("INSERT", "DELETE"),
    "vote_plan": ("INSERT", "UPDATE (withdrawn_at, tally_snapshot, tally_snapshot_hash, decrypted)"),
    "vote_plan_proposal": ("INSERT",),
    "voter": ("SELECT",),
}
_RIGHT = re.compile(r"(\w+)(?: \((.*)\))?")

# A right to a whole table may also be given column by column. Of a table that is not there nothing is held.
_MISSING = text("""
    SELECT wanted.number FROM unnest(CAST(:tables AS text[]), CAST(:rights AS text[]), CAST(:columns AS text[]))
        WITH ORDINALITY AS wanted (name, privilege, columns, number)
    WHERE NOT coalesce(has_table_privilege(to_regclass(name), privilege) OR privilege <> 'DELETE' AND (
        SELECT bool_and(has_column_privilege(attrelid, attnum, privilege)) FROM pg_attribute
        WHERE attrelid = to_regclass(name) AND attnum > 0 AND NOT attisdropped
            AND (wanted.columns = '' OR attname = ANY(string_to_array(wanted.columns, ', ')))
    ), false)
    ORDER BY number
""")
_TEMPORARY = text("SELECT has_database_privilege(current_database(), 'TEMPORARY')")


def needed(role: Role) -> Iterator[tuple[str, str]]:
    """(table, right) of all that a service of this *role* does; a right may be to columns: ``UPDATE (extras)``."""
    for table in _READ:
        yield table, "SELECT"
    for rights in (_NODE, _LEADER0 if role is Role.LEADER0 else {}):
        for table, all_ in rights.items():
            for right in all_:
                yield table, right


async def missing_privileges(session: Session, role: Role) -> list[str]:
    """What the login of *session* lacks for a service of this *role*, as it is granted: ``INSERT ON lease``."""
    wanted = list(needed(role))
    parts = [match for _, right in wanted if (match := _RIGHT.fullmatch(right))]
    arguments = {
        "tables": [table for table, _ in wanted],
        "rights": [match[1] for match in parts],
        "columns": [match[2] or "" for match in parts],
    }
    async with session.transaction("privileges", snapshot=True) as connection:
        numbers = await connection.scalars(_MISSING, arguments)
        missing = ["{1} ON {0}".format(*wanted[number - 1]) for number in numbers]
        if role is Role.LEADER0 and not await connection.scalar(_TEMPORARY):
            missing.append("TEMPORARY ON DATABASE")
    return missing
