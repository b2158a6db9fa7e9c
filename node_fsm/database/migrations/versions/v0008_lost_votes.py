"""Votes that are in no block are handed to other nodes, and what is not counted in the end is on record."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the two tables."""
    op.execute("""
        CREATE TABLE fragment_handover (
            block0_hash text NOT NULL,
            fragment_id text NOT NULL,
            raw bytea NOT NULL,
            from_host text NOT NULL,
            handed_at timestamptz NOT NULL DEFAULT now()
                CONSTRAINT handed_at_can_be
                CHECK (handed_at >= '1970-01-01T00:00Z' AND handed_at < '9000-01-01T00:00Z'),
            resolved_at timestamptz
                CONSTRAINT resolved_at_can_be
                CHECK (resolved_at >= '1970-01-01T00:00Z' AND resolved_at < '9000-01-01T00:00Z'),
            PRIMARY KEY (block0_hash, fragment_id)
        )
    """)
    op.execute("""
        CREATE TABLE uncounted_vote (
            block0_hash text NOT NULL,
            fragment_id text NOT NULL,
            node text NOT NULL,
            election bigint NOT NULL,
            election_name text NOT NULL,
            account text NOT NULL,
            weight bigint NOT NULL,
            why text NOT NULL,
            raw bytea NOT NULL,
            at timestamptz NOT NULL DEFAULT now()
                CONSTRAINT at_can_be CHECK (at >= '1970-01-01T00:00Z' AND at < '9000-01-01T00:00Z'),
            acknowledged_at timestamptz
                CONSTRAINT acknowledged_at_can_be
                CHECK (acknowledged_at >= '1970-01-01T00:00Z' AND acknowledged_at < '9000-01-01T00:00Z'),
            PRIMARY KEY (block0_hash, fragment_id, node)
        )
    """)
