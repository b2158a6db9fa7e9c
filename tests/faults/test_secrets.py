"""Marked secrets in a whole election, public and private, in which everything fails once: they come out nowhere.

Searched are logs at TRACE, arguments and environment of all children, what the services answer, what commands print,
the database, S3, the storage, and temporary files while they are there.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random
from secrets import token_urlsafe

import asyncpg
import httpx
import pytest
import pytest_asyncio
import zstandard
from node_fsm_sandbox.election.binaries import script
from node_fsm_sandbox.election.committee import CommitteeMember, new_committee
from node_fsm_sandbox.election.draw import DrawnElection, draw_election, draw_voters
from node_fsm_sandbox.election.environment import service_environment
from node_fsm_sandbox.election.errors import SandboxError
from node_fsm_sandbox.election.polling_station import PollingStation
from node_fsm_sandbox.election.schedule import Times
from node_fsm_sandbox.election.wallet import Wallet
from sqlalchemy import make_url

from node_fsm.core.secret import Secret
from node_fsm.sidecar.answers import State
from tests.contract.binaries import Binaries, sandbox_binaries
from tests.security.children import Sightings, files_in
from tests.security.complaining import complaining
from tests.security.marks import Marks, key_mark
from tests.support.bucket import Bucket
from tests.support.polling import HANGING
from tests.support.roles import DatabaseRole
from tests.system.conftest import until
from tests.system.test_cluster import ClusterOfTests, cluster, in_blocks

__all__ = ["cluster"]

pytestmark = pytest.mark.faults

LOGIN = "marked_login"
DISCONNECT = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{LOGIN}'"
PASSWORD = f"p@ss/{token_urlsafe(12)}?&='\"%é"
AWS = {
    "AWS_ACCESS_KEY_ID": f"AKIA{token_urlsafe(12)}",
    "AWS_SECRET_ACCESS_KEY": f"{token_urlsafe(20)}/+{token_urlsafe(20)}",
    "AWS_SESSION_TOKEN": token_urlsafe(60),
}
UNRELATED = token_urlsafe(30)
FOREIGN = Wallet()
ADDRESSES = ("/state", "/", "/metrics", "/health/ready", "/health/live", "/runbook")
COMMANDS = (
    ("config",),
    ("doctor",),
    ("status",),
    ("status", "--output", "json"),
    ("journal",),
    ("election", "show", "marked"),
    ("archive", "list"),
)


@pytest.fixture
def binaries(tmp_path: Path) -> Binaries:
    """The stand-ins, each of which fails once at everything."""
    (tmp_path / "good").mkdir()
    good = sandbox_binaries(tmp_path / "good")
    bad = tmp_path / "bad"
    return Binaries(sandbox=True, jcli=complaining(good.jcli, bad), jormungandr=complaining(good.jormungandr, bad))


@pytest_asyncio.fixture
async def committee(tmp_path: Path, binaries: Binaries) -> tuple[CommitteeMember, ...]:
    assert binaries.sandbox
    return await new_committee(sandbox_jcli(tmp_path), 3, tmp_path / "committee")


def sandbox_jcli(directory: Path) -> Path:
    return directory / "good" / "jcli"


@asynccontextmanager
async def login(url: str, group: str) -> AsyncIterator[str]:
    """The database's URL for a login whose password is marked."""
    await run_sql(url, f"CREATE ROLE {LOGIN} LOGIN IN ROLE {group}")
    try:
        await set_password(url)
        own = make_url(url).set(username=LOGIN, password=PASSWORD)
        yield own.render_as_string(hide_password=False)
    finally:
        await run_sql(url, DISCONNECT)
        await run_sql(url, f"DROP ROLE {LOGIN}")


async def set_password(url: str) -> None:
    literal = PASSWORD.replace("'", "''")
    await run_sql(url, f"ALTER ROLE {LOGIN} PASSWORD '{literal}'")


async def run_sql(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def test_marked_secrets_come_out_nowhere(
    cluster: ClusterOfTests, s3_bucket: Bucket, tmp_path: Path, committee: tuple[CommitteeMember, ...]
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    cluster.settings |= AWS | {"NODE_FSM_LOG_LEVEL": "TRACE", "UNRELATED_SECRET": UNRELATED, "TMPDIR": str(temporary)}
    first, other = await cluster.begin("leader0", "leader1")
    keys = [member.part.wallet.secret for member in (first, other) if member.part.wallet]
    sightings = Sightings(
        Marks(
            AWS
            | {"password": PASSWORD, "unrelated": UNRELATED, "foreign key": key_mark(FOREIGN.secret)}
            | {f"key of leader {index}": key_mark(key) for index, key in enumerate(keys)}
            | {f"key of member {member.index}": key_mark(key_of(member)) for member in committee}
        )
    )
    async with login(cluster.outside.database_url, DatabaseRole.LEADER0.group) as url:
        await first.service.stop()
        first.service.settings |= {
            "NODE_FSM_DATABASE_URL": url,
            "NODE_FSM_LOG_FORMAT": "json",
            "NODE_FSM_RESCAN_SECONDS": "1",
            "NODE_FSM_MEMBER_KEYS_S3_URI": f"s3://{s3_bucket.name}/members",
        }
        await first.service.start()
        async with (
            sightings.watching([first.service.process, other.service.process], [tmp_path / "storage", temporary]),
            asking(sightings, cluster),
        ):
            await hold(sightings, cluster, s3_bucket, committee)
        await run_commands(sightings, first.service.settings, temporary)
        await look_everywhere(sightings, cluster, s3_bucket)
    assert len(sightings.processes) > 50, "children were seen"
    assert sightings.seen == set()


def key_of(member: CommitteeMember) -> Secret:
    return Secret(member.key_file.read_text().strip())


async def hold(
    sightings: Sightings, cluster: ClusterOfTests, bucket: Bucket, committee: tuple[CommitteeMember, ...]
) -> None:
    """An election from its import to its archive, with wrong keys and a wrong password on the way."""
    first, other = cluster.members
    right = first.part.wallet
    assert right
    times = Times.soon(75, voting=40, tallying=150)
    election = draw_election("marked", times, draw_voters(Random(1), 5), Random(2), committee, public=1)
    put(bucket, first.part.key_name, f"{right.secret.reveal()} and more")
    for member in committee[:2]:
        put(bucket, f"members/{election.name}/{member.index}", key_of(member).reveal())
    put(bucket, f"members/{election.name}/torn", f"{key_of(committee[2]).reveal()} and more")
    cluster.post_election(election)

    for reason, then in (("KeyMalformed", FOREIGN.secret), ("KeyNotThisNodes", right.secret)):
        await first.service.wait_until(partial(has_reason, reason=reason), HANGING)
        put(bucket, first.part.key_name, then.reveal())

    for node in cluster.members:
        await node.service.wait_for(HANGING, phase="Running", election=election.name)
    await run_sql(cluster.outside.database_url, f"ALTER ROLE {LOGIN} PASSWORD 'another'")
    await run_sql(cluster.outside.database_url, DISCONNECT)
    await first.service.wait_for_condition("database_unavailable", HANGING)
    await set_password(cluster.outside.database_url)

    station = PollingStation(other.node, [], sandbox_jcli(cluster.directory))
    await station.wait_for_tip(times.voting_start, HANGING)
    await in_blocks(station, election.ballots)
    await first.service.wait_for_condition("member_key_unusable", HANGING)
    settings = cluster.settings_of(DatabaseRole.MEMBER)
    await until(lambda: posts_share(sightings, committee[2], election, settings, cluster.directory / "temporary"))
    await cluster.assert_ended(election)


async def posts_share(
    sightings: Sightings, member: CommitteeMember, election: DrawnElection, settings: dict[str, str], temporary: Path
) -> bool:
    """Whether the member's command has posted a share; it fails at first."""
    try:
        sightings.look("the member's command", await member.post_share(election.name, settings, temporary))
    except SandboxError as error:
        sightings.look("the member's command", str(error))
        return False
    return True


def has_reason(state: State, reason: str) -> bool:
    return any(condition.reason == reason for condition in state.conditions)


def put(bucket: Bucket, name: str, text: str) -> None:
    bucket.client.put_object(Bucket=bucket.name, Key=name, Body=text.encode())


@asynccontextmanager
async def asking(sightings: Sightings, cluster: ClusterOfTests) -> AsyncIterator[None]:
    """Look at all that services answer, while it changes."""

    async def ask() -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=HANGING) as client:
            while True:
                for member in cluster.members:
                    port = member.service.settings["NODE_FSM_PORT"]
                    for address in ADDRESSES:
                        with suppress(httpx.HTTPError):
                            answer = await client.get(f"http://127.0.0.1:{port}{address}")
                            sightings.look(f"{address} of {member.hostname}", answer.content)
                await asyncio.sleep(1)

    task = asyncio.create_task(ask())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def run_commands(sightings: Sightings, settings: dict[str, str], temporary: Path) -> None:
    """Look at what commands print, with a password that is right, and with one that is not."""
    wrong = settings | {"NODE_FSM_DATABASE_URL": settings["NODE_FSM_DATABASE_URL"].replace(LOGIN, "nobody")}
    unusable = settings | {"NODE_FSM_DATABASE_URL": settings["NODE_FSM_DATABASE_URL"].replace("postgresql", "mysql")}
    for environment in (settings, wrong, unusable):
        for command in COMMANDS:
            process = await asyncio.create_subprocess_exec(
                script("node-fsm"),
                *command,
                env=service_environment(os.environ, temporary, environment),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            printed, _ = await process.communicate()
            assert printed
            assert b"Traceback" not in printed, printed.decode()
            sightings.look(f"node-fsm {' '.join(command)}", printed)


async def look_everywhere(sightings: Sightings, cluster: ClusterOfTests, bucket: Bucket) -> None:
    """Look through what an election leaves: logs, storage, temporary files, the database, and S3 but for the keys."""
    for place in ("logs", "storage", "temporary"):
        for file in files_in(cluster.directory / place):
            sightings.look_into(file)
    connection = await asyncpg.connect(cluster.outside.database_url.replace("+asyncpg", ""))
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in tables:
            for (row,) in await connection.fetch(f'SELECT row::text FROM "{table}" AS row'):
                sightings.look(f"table {table}", row)
    finally:
        await connection.close()
    archived = set()
    for listed in bucket.client.list_objects_v2(Bucket=bucket.name)["Contents"]:
        name = listed["Key"]
        if name.startswith("archive/"):
            data = bucket.client.get_object(Bucket=bucket.name, Key=name)["Body"].read()
            sightings.look(name, data)
            archived.add(name.rpartition("/")[2])
            if name.endswith(".zst"):
                sightings.look(f"inside of {name}", zstandard.ZstdDecompressor().decompressobj().decompress(data))
    assert {"manifest.json", "archive.tar.zst"} <= archived
