"""Private votes: every share that was posted is kept, and what was decrypted, before the tally is on the chain.

Shares are only ever added, so that who may post one can take nobody else's away.
"""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Keep shares side by side, and make room for what was decrypted."""
    op.execute("ALTER TABLE vote_plan ADD COLUMN decrypted jsonb")
    op.execute("""
        ALTER TABLE decryption_share
            ADD COLUMN sha256 text NOT NULL,
            ADD COLUMN posted_at timestamptz NOT NULL DEFAULT now()
                CONSTRAINT posted_at_can_be
                CHECK (posted_at >= '1970-01-01T00:00Z' AND posted_at < '9000-01-01T00:00Z')
    """)
    op.execute("ALTER TABLE decryption_share DROP CONSTRAINT decryption_share_pkey")
    op.execute("ALTER TABLE decryption_share ADD PRIMARY KEY (vote_plan, snapshot_hash, committee_member, sha256)")
