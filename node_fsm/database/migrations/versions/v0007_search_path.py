"""Triggers find their tables also where the session has another search_path, as pg_restore's has none."""

from alembic import op

revision = "0007"
down_revision = "0006"

FUNCTIONS = (
    "notify_change(text, bigint)",
    "revise_election(bigint)",
    "election_created()",
    "election_edited()",
    "block0_changed()",
    "election_deleted()",
    "keep_published_election()",
    "rows_changed()",
    "table_emptied()",
    "node_changed()",
)


def upgrade() -> None:
    """Have every function look where this migration does."""
    for function in FUNCTIONS:
        op.execute(f"ALTER FUNCTION {function} SET search_path FROM CURRENT")
