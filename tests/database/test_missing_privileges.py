"""What a login is said to lack is what it lacks: the roles of deploy/postgres lack nothing, and the words mend it."""

import asyncpg
import pytest

from node_fsm.core.phases import Role
from node_fsm.database.privileges import missing_privileges, needed
from node_fsm.database.session import Session
from tests.support.roles import DatabaseRole

ROLES = {Role.LEADER0: DatabaseRole.LEADER0, Role.NODE: DatabaseRole.NODE}


async def missing(url: str, role: Role) -> list[str]:
    session = Session(url)
    try:
        return await missing_privileges(session, role)
    finally:
        await session.close()


@pytest.mark.parametrize("role", Role)
async def test_the_deployed_roles_have_all_that_is_needed(database_url: str, role: Role) -> None:
    assert await missing(ROLES[role].url(database_url), role) == []


async def test_a_node_s_role_is_not_leader_0_s(database_url: str) -> None:
    assert "UPDATE (extras) ON election" in await missing(DatabaseRole.NODE.url(database_url), Role.LEADER0)


@pytest.mark.parametrize("role", Role)
async def test_each_right_is_missed_and_granted_by_the_words_of_it(
    database_url: str, sql: asyncpg.Connection, role: Role
) -> None:
    groups = "node_fsm_node, node_fsm_leader0"
    await sql.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {groups}")
    url = ROLES[role].url(database_url)
    lacking = await missing(url, role)
    assert lacking == [f"{right} ON {table}" for table, right in needed(role)]
    for right in lacking:
        await sql.execute(f"GRANT {right} TO {ROLES[role].group}")
    assert await missing(url, role) == []


async def test_what_is_needed_is_what_is_granted_and_no_more(database_url: str, sql: asyncpg.Connection) -> None:
    """By table: a role's grants that nobody says a service needs would be too many, or be said of none."""
    granted = await sql.fetch(
        "SELECT DISTINCT table_name, privilege_type FROM information_schema.column_privileges WHERE grantee = $1"
        " UNION SELECT table_name, privilege_type FROM information_schema.table_privileges WHERE grantee = $1",
        DatabaseRole.NODE.group,
    )
    said = {(table, right.partition(" ")[0]) for table, right in needed(Role.NODE)}
    assert {tuple(row) for row in granted} - said == {("alembic_version", "SELECT")}
