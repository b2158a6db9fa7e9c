"""Of a final archive the votes that it counts are known, so that nodes can tell which of theirs are not among them."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column."""
    op.execute("""
        ALTER TABLE archived_block
            ADD votes bytea NOT NULL DEFAULT '' CONSTRAINT votes_have_16_bytes_each CHECK (length(votes) % 16 = 0)
    """)
