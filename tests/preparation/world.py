"""A set-up that is ready for an election, for tests to break."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
from node_fsm_sandbox.election.part import leader0, settings_of

from node_fsm.core.decryption import DecryptionLimit, DecryptionSpeed
from node_fsm.core.phases import Role
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.preparation.doctor import doctor
from node_fsm.preparation.finding import Finding, Verdict
from node_fsm.preparation.outlook import Outlook, outlooks
from node_fsm.settings.model import CommandSettings, Settings, load_settings
from tests.database.test_reports import REPORT
from tests.support.bucket import Bucket
from tests.support.roles import DatabaseRole

FAST = DecryptionLimit(DecryptionSpeed("jcli", 1, 0.0, 0.0, 0.0, 0.0), 60)

JCLI = """\
#!/bin/sh
case "$*" in
*to-public*) cat "{directory}/public" ;;
*) echo "jcli 0.13.0 (a test's)" ;;
esac
"""
JORMUNGANDR = """\
#!/bin/sh
echo "jormungandr 0.13.0 (a test's)"
"""


@dataclass
class World:
    """Leader 0's machine, database and bucket, all as they should be."""

    directory: Path
    database: PostgresDatabase
    sql: asyncpg.Connection
    bucket: Bucket
    environment: dict[str, str]
    leader_id: str
    limit: DecryptionLimit = field(default=FAST)

    @classmethod
    async def make(
        cls, directory: Path, database: PostgresDatabase, sql: asyncpg.Connection, url: str, bucket: Bucket
    ) -> "World":
        """The set-up before anything is broken: no service has run yet."""
        part = leader0()
        assert part.wallet
        (directory / "public").write_text(f"{part.wallet.leader_id}\n")
        programs = {"NODE_FSM_JCLI_PATH": ("jcli", JCLI), "NODE_FSM_JORM_PATH": ("jormungandr", JORMUNGANDR)}
        for name, source in programs.values():
            write_program(directory / name, source.format(directory=directory))
        bucket.client.put_object(Bucket=bucket.name, Key=part.key_name, Body=part.wallet.secret.reveal().encode())
        await sql.execute("INSERT INTO jorm_nodes VALUES ('leader0', $1)", part.wallet.leader_id)
        environment = {
            "NODE_FSM_DATABASE_URL": DatabaseRole.LEADER0.url(url),
            "NODE_FSM_S3_ENDPOINT_URL": bucket.endpoint_url,
            **settings_of(part, bucket.name, directory / "storage"),
            **{variable: str(directory / name) for variable, (name, _) in programs.items()},
        }
        return cls(directory, database, sql, bucket, environment, part.wallet.leader_id)

    @property
    def settings(self) -> Settings:
        return load_settings(self.environment, Settings)

    async def doctor(self) -> list[Finding]:
        """What `doctor` finds."""
        return [finding async for finding in doctor(self.settings)]

    async def plan(self) -> tuple[Outlook, ...]:
        """What `plan` says of all elections."""

        async def limit() -> DecryptionLimit:
            return self.limit

        given = {name: getattr(self.settings, name) for name in CommandSettings.model_fields}
        return await outlooks(self.database.session, CommandSettings(**given), None, limit)

    async def found(self) -> list[str]:
        """All that both say is wrong."""
        failed = [finding for finding in await self.doctor() if finding.verdict is Verdict.FAILED]
        problems = [problem for outlook in await self.plan() for problem in outlook.problems]
        return [
            *(f"doctor: {finding.area}: {finding.said}" for finding in failed),
            *(f"plan: {each}" for each in problems),
        ]

    async def told(self, hostname: str = "leader0", *conditions: str) -> None:
        """Have the service of leader 0 on that host tell of itself."""
        now = datetime.now(UTC)
        await self.database.report_status(
            replace(
                REPORT, hostname=hostname, role=Role.LEADER0, updated_at=now, conditions=conditions, holds_chain=False
            )
        )

    async def rows(self) -> dict[str, object]:
        """By table, what changes when any row is written."""
        names = await self.sql.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        query = "SELECT count(*) || ' ' || coalesce(sum(xmin::text::bigint), 0) FROM "
        return {name: await self.sql.fetchval(f'{query} "{name}"') for (name,) in names}


def write_program(path: Path, source: str) -> None:
    """Write *source* as a program."""
    path.write_text(source)
    path.chmod(0o700)


@contextmanager
def listening(port: int) -> Iterator[None]:
    """Somebody else has the port."""
    with socket.create_server(("127.0.0.1", port)):
        yield
