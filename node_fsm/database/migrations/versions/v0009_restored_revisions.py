"""A dump brings the revisions of its elections, which the trigger of the elections' own rows has begun already."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Have a revision that comes beside one go on from the higher of both."""
    op.execute("""
        CREATE FUNCTION revision_restored() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
        BEGIN
            UPDATE election_revision SET revision = greatest(revision, NEW.revision) WHERE election = NEW.election;
            RETURN CASE WHEN NOT FOUND THEN NEW END;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER restored BEFORE INSERT ON election_revision
        FOR EACH ROW EXECUTE FUNCTION revision_restored()
    """)
