"""Which machine holds how much of a chain, kept apart from ``node_status``, which every start writes anew."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table."""
    op.execute("""
        CREATE TABLE chain_copy (
            block0_hash text NOT NULL,
            hostname text NOT NULL,
            height bigint NOT NULL,
            lost boolean NOT NULL,
            PRIMARY KEY (block0_hash, hostname)
        )
    """)
