"""Revisions, notifications, and the guard of published elections.

A revision counts the edits of what an operator specified: the service's own writes (``extras``, plans, results) leave
it alone. No trigger here is BEFORE UPDATE on election or reads all of a row of it: both would read block 0.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

ELECTION_COLUMNS = (
    "id, name, description, voting_start, voting_end, tallying_end, committee_threshold, voting_power_unit,"
    " cancelled_at"
)
SPECIFIED = ("committee", "objective", "proposal", "voter")
RECORDED = ("vote_plan", "decryption_share", "archive")

FUNCTIONS = (
    """
    CREATE FUNCTION notify_change(source text, election bigint) RETURNS void LANGUAGE sql AS $$
        SELECT pg_notify('node_fsm', json_build_object('table', source, 'election', election)::text)
    $$
    """,
    # Once per transaction: others see only its end, and a row updated a million times in one is slow to find.
    """
    CREATE FUNCTION revise_election(revised bigint) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        done_in_transaction CONSTANT text := 'node_fsm.revised_' || revised;
    BEGIN
        IF coalesce(current_setting(done_in_transaction, true), '') = '' THEN
            UPDATE election_revision SET revision = revision + 1 WHERE election = revised;
            PERFORM set_config(done_in_transaction, 'yes', true);
        END IF;
    END $$
    """,
    """
    CREATE FUNCTION election_created() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO election_revision (election, revision) VALUES (NEW.id, 1);
        PERFORM notify_change('election', NEW.id);
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION election_edited() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM revise_election(NEW.id), notify_change('election', NEW.id);
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION block0_changed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM notify_change('election', NEW.id);
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION election_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM notify_change('election', OLD.id);
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION keep_published_election() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        published text;
    BEGIN
        SELECT block0_hash INTO published FROM vote_plan WHERE election = OLD.id ORDER BY withdrawn_at DESC LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'election % (%) cannot be deleted: it was published as block 0 %', OLD.id, OLD.name,
                published
            USING ERRCODE = 'restrict_violation', HINT = 'To end the election, run: node-fsm election cancel';
        END IF;
        RETURN OLD;
    END $$
    """,
    # "changed" is the trigger's transition table: the statement's rows before, or after it.
    """
    CREATE FUNCTION rows_changed() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        elections bigint[];
        changed_election bigint;
    BEGIN
        IF TG_TABLE_NAME = 'proposal' THEN
            elections := ARRAY(SELECT DISTINCT o.election FROM changed c JOIN objective o ON o.id = c.objective);
        ELSIF TG_TABLE_NAME = 'decryption_share' THEN
            elections := ARRAY(SELECT DISTINCT p.election FROM changed c JOIN vote_plan p ON p.id = c.vote_plan);
        ELSE
            elections := ARRAY(SELECT DISTINCT election FROM changed);
        END IF;
        FOREACH changed_election IN ARRAY elections LOOP
            IF TG_ARGV[0] = 'specified' THEN
                PERFORM revise_election(changed_election);
            END IF;
            PERFORM notify_change(TG_TABLE_NAME, changed_election);
        END LOOP;
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION table_emptied() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM revise_election(id), notify_change(TG_TABLE_NAME, id) FROM election;
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION node_changed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM notify_change('jorm_nodes', NULL);
        RETURN NULL;
    END $$
    """,
)

TRIGGERS = (
    ("created AFTER INSERT ON election", "election_created"),
    (f"edited AFTER UPDATE OF {ELECTION_COLUMNS} ON election", "election_edited"),
    ("block0_changed AFTER UPDATE OF block0_hash ON election", "block0_changed"),
    ("deleted AFTER DELETE ON election", "election_deleted"),
    ("keep_published BEFORE DELETE ON election", "keep_published_election"),
    ("changed AFTER INSERT OR DELETE OR UPDATE OF hostname, leader_id, p2p_address ON jorm_nodes", "node_changed"),
)


def upgrade() -> None:
    """Create all functions and triggers."""
    for statement in FUNCTIONS:
        op.execute(statement)
    for trigger, function in TRIGGERS:
        op.execute(f"CREATE TRIGGER {trigger} FOR EACH ROW EXECUTE FUNCTION {function}()")
    for table in SPECIFIED:
        _follow_rows(table, "specified")
        op.execute(
            f"CREATE TRIGGER emptied AFTER TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION table_emptied()"
        )
    for table in RECORDED:
        _follow_rows(table, "recorded")


def _follow_rows(table: str, kind: str) -> None:
    for name, event, rows in (
        ("inserted", "INSERT", "NEW"),
        ("updated_from", "UPDATE", "OLD"),
        ("updated_to", "UPDATE", "NEW"),
        ("deleted", "DELETE", "OLD"),
    ):
        op.execute(
            f"CREATE TRIGGER {name} AFTER {event} ON {table} REFERENCING {rows} TABLE AS changed"
            f" FOR EACH STATEMENT EXECUTE FUNCTION rows_changed('{kind}')"
        )
