"""A committee of three, whose keys were made by the commands, and its election, read by a role with no other rights."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy import make_url
from typer.testing import CliRunner, Result

from node_fsm.cli import app
from node_fsm.core.model import Publication
from node_fsm.core.payload_type import PayloadType
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.programs.jcli import Jcli
from tests.contract.binaries import Binaries
from tests.database.world import add_election, key, prepare
from tests.support.databases import database, sql
from tests.support.fakes import FACT
from tests.support.polling import HANGING
from tests.support.private_account import account_of_votes

__all__ = ["database", "sql"]

MEMBERS = 3
ROLE_OF_PAGE = "fund15_member"
PAGE = Path(__file__).parents[2] / "docs" / "committee.md"

Run = Callable[..., Awaitable[Result]]


@dataclass(frozen=True, slots=True)
class Committee:
    """The members' key files and public keys, and an election of theirs in the database."""

    directory: Path
    public_keys: list[str]
    election_key: str
    election: int
    run: Run
    database: PostgresDatabase
    sql: asyncpg.Connection
    jcli: Jcli

    def file(self, member: int) -> Path:
        """The secret key of a member."""
        return self.directory / f"member{member}.sk"

    async def publish(self, *, election_key: str | None = None) -> Publication:
        """Publish block 0, with the votes of both groups private."""
        publication, file = await prepare(self.database, self.election, self.directory)
        encryption_key = election_key or self.election_key
        private = tuple(
            replace(plan, payload_type=PayloadType.PRIVATE, encryption_key=encryption_key) for plan in publication.plans
        )
        publication = replace(publication, plans=private)
        await self.database.publish_block0(publication, file, FACT)
        return publication

    async def end_voting(self, publication: Publication) -> None:
        """Store the sums of votes as leader 0 does after voting."""
        accounts = {
            plan.id: account_of_votes(
                plan.id,
                [[5 * index + option for option in range(3)] for index, _ in enumerate(plan.proposals)],
                self.election_key,
                self.public_keys,
            )
            for plan in publication.plans
        }
        await self.database.save_tally_snapshot(publication.hash, accounts)


async def make_keys(run: Run, directory: Path, name: str) -> list[str]:
    """The ceremony: key files `name0.sk`… in *directory*, and the members' public keys."""
    communication = []
    for member in range(MEMBERS):
        made = await run("keygen", "--key-file", directory / f"{name}-communication{member}.sk")
        assert made.exit_code == 0, made.output
        communication.append(made.stdout.strip())
    public_keys = []
    for member in range(MEMBERS):
        own = directory / f"{name}-communication{member}.sk"
        made = await run(
            *("keygen", "--key-file", directory / f"{name}{member}.sk", "--communication-key-file", own),
            *communication,
        )
        assert made.exit_code == 0, made.output
        public_keys.append(made.stdout.strip())
    return public_keys


@pytest_asyncio.fixture
async def role(sql: asyncpg.Connection) -> AsyncIterator[str]:
    """A role with the rights that the page gives to members, and no others."""
    [statements] = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    name = f"member_{uuid.uuid4().hex}"
    await sql.execute(statements.replace(ROLE_OF_PAGE, name))
    yield name
    await sql.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.fixture
def member_url(database_url: str, role: str) -> str:
    """What members reach the database by."""
    url = make_url(database_url).set(username=role, password="PASSWORD")
    return url.render_as_string(hide_password=False)


@pytest.fixture
def run(member_url: str, binaries: Binaries, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `node-fsm committee …` as a member does."""
    monkeypatch.setenv("NODE_FSM_DATABASE_URL", member_url)
    monkeypatch.setenv("NODE_FSM_JCLI_PATH", str(binaries.jcli))
    monkeypatch.setenv("COLUMNS", "400")
    return run_command


async def run_command(*arguments: object) -> Result:
    """The command on a thread, because it has an event loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, app, ["committee", *map(str, arguments)])


@pytest_asyncio.fixture
async def committee(
    run: Run, database: PostgresDatabase, sql: asyncpg.Connection, binaries: Binaries, tmp_path: Path
) -> Committee:
    """The election is imported and not published; voting ends in a day and some hours."""
    jcli = Jcli(str(binaries.jcli), timeout=HANGING)
    public_keys = await make_keys(run, tmp_path, "member")
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=3)
    election = await add_election(sql, start=start, committee_threshold=MEMBERS)
    await sql.execute("DELETE FROM committee")
    await sql.executemany(
        "INSERT INTO committee VALUES ($1, $2, $3, $4)",
        [(election, key(90 + index), index, public_key) for index, public_key in enumerate(public_keys)],
    )
    return Committee(
        directory=tmp_path,
        public_keys=public_keys,
        election_key=await jcli.election_key(public_keys),
        election=election,
        run=run,
        database=database,
        sql=sql,
        jcli=jcli,
    )
