"""The database's roles as they are deployed, with a login in each of them."""

from enum import StrEnum
from pathlib import Path

import asyncpg
from sqlalchemy import make_url

_POSTGRES = Path(__file__).parents[2] / "deploy" / "postgres"
ROLES, GRANTS = _POSTGRES / "roles.sql", _POSTGRES / "grants.sql"
PASSWORD = "password"


class DatabaseRole(StrEnum):
    """Who uses the database; the login of each has its name."""

    OWNER = "node_fsm_owner"
    OPERATOR = "operator"
    LEADER0 = "leader0"
    NODE = "node"
    MEMBER = "member"
    BACKUP = "backup"

    @property
    def group(self) -> str:
        """The role of deploy/postgres/roles.sql."""
        return self.value if self is DatabaseRole.OWNER else f"node_fsm_{self.value}"

    def url(self, database_url: str) -> str:
        """The same database, as this role."""
        return make_url(database_url).set(username=self.value, password=PASSWORD).render_as_string(hide_password=False)


async def make_roles(database_url: str) -> None:
    """Make the roles and their logins, and give the database to its owner."""
    logins = [
        f"CREATE ROLE {role.value} LOGIN PASSWORD '{PASSWORD}' IN ROLE {role.group}"
        for role in DatabaseRole
        if role is not DatabaseRole.OWNER
    ]
    owner = f"ALTER ROLE {DatabaseRole.OWNER.value} LOGIN PASSWORD '{PASSWORD}'"
    await execute(database_url, ROLES.read_text(), owner, *logins)


async def grant(database_url: str) -> None:
    """Grant what each role may do to the tables that are there, as their owner."""
    await execute(DatabaseRole.OWNER.url(database_url), GRANTS.read_text())


async def execute(database_url: str, *scripts: str) -> None:
    """Run scripts of SQL one after the other."""
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        for script in scripts:
            await connection.execute(script)
    finally:
        await connection.close()
