"""Leader 0 tells how fast it opens private votes, so that an import elsewhere can tell what will take too long."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE node_status ADD COLUMN decryption_speed jsonb")
