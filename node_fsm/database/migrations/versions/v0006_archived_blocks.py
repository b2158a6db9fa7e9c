"""What archives hold is told block by block, so that a node deletes nothing that none of them has."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Let archives be of a divergent chain, and add the table of their blocks."""
    op.execute("""
        ALTER TABLE archive
            DROP CONSTRAINT kind_is_known,
            ADD CONSTRAINT kind_is_known CHECK (kind IN ('final', 'superseded', 'divergent', 'salvage'))
    """)
    op.execute("""
        ALTER TABLE tally_confirmation ADD CONSTRAINT confirmed_at_can_be
            CHECK (confirmed_at >= '1970-01-01T00:00Z' AND confirmed_at < '9000-01-01T00:00Z')
    """)
    op.execute("""
        CREATE TABLE archived_block (
            block0_hash text NOT NULL,
            run_id text NOT NULL,
            ids bytea NOT NULL CONSTRAINT ids_have_32_bytes_each CHECK (length(ids) % 32 = 0),
            PRIMARY KEY (block0_hash, run_id),
            FOREIGN KEY (block0_hash, run_id) REFERENCES archive
        )
    """)
