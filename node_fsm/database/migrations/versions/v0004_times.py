"""Times that cannot be are refused: no chain begins before 1970, and nothing can be counted from a year such as 20270.

A row that stands already keeps its value, so that the upgrade does not fail on it: a constraint that such a row breaks
is left NOT VALID, which still refuses every new row and every edit that leaves the value as it is. Whoever mended the
rows has Postgres check them: ``ALTER TABLE election VALIDATE CONSTRAINT voting_start_can_be``.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

TIMES = {
    "election": ("voting_start", "voting_end", "tallying_end", "cancelled_at"),
    "vote_plan": ("block0_date", "withdrawn_at"),
    "published_specification": ("published_at",),
    "tally": ("decided_at",),
    "archive": ("verified_at",),
    "lease": ("expires_at",),
    "node_status": ("since", "updated_at"),
    "phase_journal": ("at",),
}


def upgrade() -> None:
    """Add a constraint for each time, valid where the rows allow it."""
    for table, columns in TIMES.items():
        for column in columns:
            can_be = f"\"{column}\" >= '1970-01-01T00:00Z' AND \"{column}\" < '9000-01-01T00:00Z'"
            op.execute(f'ALTER TABLE {table} ADD CONSTRAINT "{column}_can_be" CHECK ({can_be}) NOT VALID')
            op.execute(f"""
                DO $$ BEGIN
                    ALTER TABLE {table} VALIDATE CONSTRAINT "{column}_can_be";
                EXCEPTION WHEN check_violation THEN
                    NULL; -- told by what runs the migrations
                END $$
            """)
