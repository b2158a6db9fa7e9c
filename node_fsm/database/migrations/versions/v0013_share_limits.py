"""A member's role can neither fill the disk with shares, nor post any before the sums are there of which it would be.

Rows are counted by who wrote them, so that nobody uses up what another member may post. The trigger has its owner's
rights, because it locks the plan: no share comes in of a snapshot that is replaced at the same moment.
"""

from alembic import op

revision = "0013"
down_revision = "0012"

MAX_SHARE_SIZE = 131_072
"""Bytes. jcli takes no tally of more than 81,911 bytes, which are 109,000 in base64 and hold the shares of all."""

MAX_POSTS = 8
"""Shares of a plan that one role may post in one member's name; each but the last was wrong."""


def upgrade() -> None:
    """Have the table refuse what is no member's share of the sums that stand there, too large, or too many."""
    op.execute(f"""
        ALTER TABLE decryption_share
            ADD COLUMN posted_by text NOT NULL DEFAULT session_user,
            ADD CONSTRAINT share_is_not_too_large CHECK (octet_length(share) <= {MAX_SHARE_SIZE}),
            ADD CONSTRAINT sha256_is_the_shares
                CHECK (sha256 = encode(sha256(convert_to(share, 'UTF8')), 'hex'))
    """)
    op.execute(f"""
        CREATE FUNCTION limit_shares() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
        AS $$
        DECLARE
            members jsonb;
        BEGIN
            SELECT tally_snapshot -> 'committee_member_keys' INTO members FROM vote_plan
            WHERE id = NEW.vote_plan AND tally_snapshot_hash = NEW.snapshot_hash FOR KEY SHARE;
            IF NOT FOUND THEN
                RAISE EXCEPTION 'vote_plan % has no tally_snapshot with the hash %', NEW.vote_plan, NEW.snapshot_hash
                USING ERRCODE = 'check_violation';
            ELSIF members ? NEW.committee_member IS NOT TRUE THEN
                RAISE EXCEPTION '% is no member of the committee of vote_plan %', NEW.committee_member, NEW.vote_plan
                USING ERRCODE = 'check_violation';
            ELSIF {MAX_POSTS} <= (
                SELECT count(*) FROM decryption_share AS standing
                WHERE standing.vote_plan = NEW.vote_plan AND standing.committee_member = NEW.committee_member
                    AND standing.posted_by = NEW.posted_by
            ) THEN
                RAISE EXCEPTION '% has posted {MAX_POSTS} shares of vote_plan % in the name of %, and may post no more',
                    NEW.posted_by, NEW.vote_plan, NEW.committee_member
                USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        END $$
    """)  # noqa: S608 - what is put in is a constant
    op.execute("CREATE TRIGGER limited BEFORE INSERT ON decryption_share FOR EACH ROW EXECUTE FUNCTION limit_shares()")
