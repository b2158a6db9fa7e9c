"""Nodes tell each other which chain they are on; a tally without a majority of the leaders is on record."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns and the table."""
    op.execute("""
        ALTER TABLE node_status
            ADD marks jsonb NOT NULL DEFAULT '[]',
            ADD apart text[] NOT NULL DEFAULT '{}',
            ADD last_counted text
    """)
    op.execute("ALTER TABLE tally ADD disputed text")
    op.execute("""
        CREATE TABLE tally_confirmation (
            block0_hash text PRIMARY KEY,
            election bigint NOT NULL,
            election_name text NOT NULL,
            confirmed_at timestamptz NOT NULL DEFAULT now()
        )
    """)
