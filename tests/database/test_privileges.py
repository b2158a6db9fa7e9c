"""The roles of deploy/postgres: that each can do its work is shown wherever tests use them; here is what none can."""

import re
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest
import pytest_asyncio

from node_fsm.database import tables
from tests.docs.pages import ROOT
from tests.support.roles import GRANTS, DatabaseRole, grant

OWNER, OPERATOR, LEADER0, NODE, MEMBER, BACKUP = DatabaseRole
ROLES = set(DatabaseRole) - {OWNER}

FORBIDDEN = [
    # What was voted, counted and archived.
    ("DELETE FROM tally", ROLES - {LEADER0}),
    ("UPDATE tally SET disputed = NULL", ROLES),
    ("UPDATE tally_result SET votes = 0", ROLES),
    ("INSERT INTO tally_result SELECT * FROM tally_result", ROLES - {LEADER0}),
    ("UPDATE vote_plan SET tally_snapshot = NULL", ROLES - {LEADER0}),
    ("UPDATE vote_plan SET encryption_key = ''", ROLES),
    ("DELETE FROM vote_plan", ROLES),
    ("UPDATE archive SET manifest = ''", ROLES),
    ("DELETE FROM archive", ROLES),
    ("DELETE FROM archived_block", ROLES),
    ("UPDATE decryption_share SET share = ''", ROLES),
    ("DELETE FROM decryption_share", ROLES),
    ("INSERT INTO decryption_share SELECT * FROM decryption_share", ROLES),
    ("UPDATE published_specification SET canonical = ''", ROLES),
    ("DELETE FROM phase_journal", ROLES),
    ("UPDATE phase_journal SET reason = ''", ROLES),
    ("UPDATE uncounted_vote SET raw = ''", ROLES),
    ("DELETE FROM uncounted_vote", ROLES - {LEADER0, NODE}),
    # What is specified.
    ("UPDATE election SET extras = '{}'", ROLES - {LEADER0}),
    ("UPDATE election SET name = ''", ROLES - {OPERATOR}),
    ("DELETE FROM election", ROLES - {OPERATOR}),
    ("UPDATE voter SET voting_power = 0", ROLES - {OPERATOR}),
    ("SELECT FROM voter", {NODE, MEMBER}),
    ("UPDATE jorm_nodes SET leader_id = NULL", ROLES - {OPERATOR}),
    ("DELETE FROM jorm_nodes", ROLES - {OPERATOR}),
    ("UPDATE committee SET member_public_key = ''", ROLES - {OPERATOR}),
    ("INSERT INTO tally_confirmation VALUES ('', 1, '')", ROLES - {OPERATOR}),
    # Who may publish.
    ("INSERT INTO lease SELECT * FROM lease", ROLES - {LEADER0}),
    ("UPDATE lease SET holder = ''", ROLES - {LEADER0}),
    ("DELETE FROM lease", ROLES),
    # More than rows.
    ("TRUNCATE voter", ROLES),
    ("DROP TABLE lease", ROLES),
    ("ALTER TABLE lease DISABLE TRIGGER ALL", ROLES),
    ("CREATE TABLE mine ()", ROLES),
    ("CREATE FUNCTION notify_change(bigint) RETURNS void LANGUAGE sql AS ''", ROLES),
    ("CREATE ROLE mine", ROLES | {OWNER}),
    ("SELECT pg_read_file('/etc/passwd')", ROLES | {OWNER}),
]

Connect = Callable[[DatabaseRole], asyncpg.Connection]


@pytest_asyncio.fixture
async def connections(database_url: str) -> AsyncIterator[dict[DatabaseRole, asyncpg.Connection]]:
    opened = {role: await asyncpg.connect(role.url(database_url).replace("+asyncpg", "")) for role in DatabaseRole}
    yield opened
    for connection in opened.values():
        await connection.close()


async def refused(connection: asyncpg.Connection, statement: str) -> bool:
    """Whether this role may not do it; what it may is undone."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return True
    except asyncpg.PostgresError:
        return False
    finally:
        await transaction.rollback()
    return False


async def test_each_role_may_do_just_what_it_needs(connections: dict[DatabaseRole, asyncpg.Connection]) -> None:
    wrong = [
        f"{role}: {statement} is {'refused' if is_refused else 'allowed'}"
        for statement, roles in FORBIDDEN
        for role, connection in connections.items()
        if (is_refused := await refused(connection, statement)) != (role in roles) and role is not OWNER
    ]
    assert wrong == []
    for statement, roles in FORBIDDEN:
        assert OWNER not in roles or await refused(connections[OWNER], statement), statement


async def test_the_roles_connect_and_make_temporary_tables_as_they_need(
    connections: dict[DatabaseRole, asyncpg.Connection], database_template: str
) -> None:
    """A copy of a database has not the rights on the database that the original has."""
    may = {
        (role, right)
        for role in DatabaseRole
        for right in ("CONNECT", "TEMPORARY", "CREATE")
        if await connections[role].fetchval(
            "SELECT has_database_privilege($1, $2, $3)", role.value, database_template, right
        )
    }
    assert may == {
        *((role, "CONNECT") for role in DatabaseRole),
        *((role, "TEMPORARY") for role in (OWNER, OPERATOR, LEADER0)),
        (OWNER, "CREATE"),
    }
    assert not await connections[NODE].fetchval(
        "SELECT has_database_privilege('public', $1, 'CONNECT')", database_template
    )


async def test_granting_again_takes_back_what_was_granted_otherwise(database_url: str) -> None:
    connections = {
        role: await asyncpg.connect(role.url(database_url).replace("+asyncpg", "")) for role in (OWNER, NODE)
    }
    try:
        await connections[OWNER].execute("GRANT DELETE ON lease TO node_fsm_node; GRANT SELECT ON voter TO PUBLIC")
        assert not await refused(connections[NODE], "DELETE FROM lease")
        await grant(database_url)
        assert await refused(connections[NODE], "DELETE FROM lease")
        assert await refused(connections[NODE], "SELECT FROM voter")
    finally:
        for connection in connections.values():
            await connection.close()


def test_no_table_is_forgotten() -> None:
    """A new table is granted to nodes, or is the voters' and not theirs."""
    [granted] = re.findall(r"GRANT SELECT ON (\w+, [\w,\s]+?)\s+TO node_fsm_node;", GRANTS.read_text())
    assert {name.strip() for name in granted.split(",")} == {*tables.metadata.tables, "alembic_version"} - {"voter"}


def test_the_page_for_members_grants_the_same() -> None:
    def of(text: str, role: str) -> list[str]:
        return [" ".join(each.split()) for each in re.findall(rf"(GRANT [^;]+?) TO {role};", text)]

    assert of((ROOT / "docs" / "committee.md").read_text(), "fund15_member") == of(
        GRANTS.read_text().partition("-- A member")[2], "node_fsm_member"
    )


@pytest.mark.parametrize("role", sorted(ROLES))
def test_every_role_is_on_the_page(role: DatabaseRole) -> None:
    assert f"`{role.group}`" in (ROOT / "docs" / "privileges.md").read_text()
