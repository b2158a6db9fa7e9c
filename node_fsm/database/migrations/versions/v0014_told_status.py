"""Services tell more of themselves, so that the database alone shows a cluster to people."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the columns; services of an older version go on writing their rows without them."""
    op.execute("""
        ALTER TABLE node_status
            ADD COLUMN role text,
            ADD COLUMN votes bigint,
            ADD COLUMN deadline text,
            ADD COLUMN deadline_at timestamptz,
            ADD COLUMN condition_details jsonb NOT NULL DEFAULT '[]',
            ADD COLUMN stopped_at timestamptz
    """)
    for column in ("deadline_at", "stopped_at"):
        can_be = f"{column} >= '1970-01-01T00:00Z' AND {column} < '9000-01-01T00:00Z'"
        op.execute(f"ALTER TABLE node_status ADD CONSTRAINT {column}_can_be CHECK ({can_be})")
