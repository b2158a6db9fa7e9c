"""Set-ups that are broken on purpose: `doctor` or `plan` finds each, and says what to do.

Each case is a way to break what is otherwise ready for an election, with who finds it and a part of what is said.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from sqlalchemy import text

import node_fsm.preparation.database
import node_fsm.preparation.doctor
from node_fsm.chain.address import ed25519_public_key_text
from node_fsm.core.decryption import DecryptionLimit, DecryptionSpeed
from node_fsm.preparation.finding import Verdict
from node_fsm.s3.trial import TrialStore
from node_fsm.settings.model import packaged_template
from tests.database.test_unreadable import drop_checks
from tests.database.world import START, add_election
from tests.preparation.world import World, listening, write_program
from tests.s3.helpers import keys, unfinished_uploads

OTHER_KEY = ed25519_public_key_text(b"\1" * 32)


@dataclass
class Hands:
    """What a case breaks with: *end* undoes it."""

    world: World
    patch: pytest.MonkeyPatch
    end: ExitStack


class Broken(NamedTuple):
    """*how* breaks a set-up; *says* is a pattern of what is said."""

    how: Callable[[Hands], Awaitable[object] | object]
    says: str


class Usage(NamedTuple):
    free: int


class CarelessStore(TrialStore):
    """A server that does not know conditional writes, and does not say so."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        hooks: Any = self._client.meta.events
        hooks.register("before-sign.s3", self._forget_the_condition)

    def _forget_the_condition(self, request: Any, **_: object) -> None:
        if "If-None-Match" in request.headers:
            del request.headers["If-None-Match"]


def set_(variable: str, value: str) -> Callable[[Hands], object]:
    """Set a setting wrongly."""
    return lambda hands: hands.world.environment.update({variable: value})


def sql(*statements: str) -> Callable[[Hands], Awaitable[object]]:
    """Run SQL beside the service's checks."""

    async def run(hands: Hands) -> None:
        for statement in statements:
            await hands.world.sql.execute(statement)

    return run


def url(old: str, new: str) -> Callable[[Hands], object]:
    def change(hands: Hands) -> None:
        variable = "NODE_FSM_DATABASE_URL"
        hands.world.environment[variable] = re.sub(old, new, hands.world.environment[variable])

    return change


async def read_only(hands: Hands) -> None:
    name = await hands.world.sql.fetchval("SELECT current_database()")
    await hands.world.sql.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")


async def weak_login(hands: Hands) -> None:
    """A login that may read all, and write next to nothing."""
    world = hands.world
    name = await world.sql.fetchval("SELECT 'weak_' || current_database()")
    await world.sql.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'weak'")
    await world.sql.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}")
    await world.sql.execute(f"GRANT INSERT, UPDATE ON node_status, lease TO {name}")
    world.environment["NODE_FSM_DATABASE_URL"] = re.sub(
        "//.*@", f"//{name}:weak@", world.environment["NODE_FSM_DATABASE_URL"]
    )


def deaf(hands: Hands) -> None:
    hands.patch.setattr("node_fsm.database.listen._NOTIFY", text("SELECT :channel"))
    hands.patch.setattr(node_fsm.preparation.database, "_HEARD_SECONDS", 0.2)


def slow_clock(hands: Hands) -> None:
    hands.patch.setattr(node_fsm.preparation.database, "utc_now", lambda: datetime.now(UTC) - timedelta(seconds=9))


async def odd_time(hands: Hands) -> None:
    await add_election(hands.world.sql)
    await drop_checks(hands.world.sql)
    await hands.world.sql.execute("UPDATE election SET tallying_end = '20270-01-01'")


async def two_leaders0(hands: Hands) -> None:
    await hands.world.sql.execute("INSERT INTO jorm_nodes VALUES ('other', $1)", OTHER_KEY)
    await hands.world.told("other")


async def unconfirmed(hands: Hands) -> None:
    database = hands.world.database
    await database.acquire_lease("old-host", "a", 0.001)
    await asyncio.sleep(0.01)
    await database.acquire_lease("leader0", "b", 600)


def put_key(data: bytes | None) -> Callable[[Hands], object]:
    def put(hands: Hands) -> None:
        bucket = hands.world.bucket
        if data is None:
            bucket.client.delete_object(Bucket=bucket.name, Key="leader0.sk")
        else:
            bucket.client.put_object(Bucket=bucket.name, Key="leader0.sk", Body=data)

    return put


def in_the_way(hands: Hands) -> None:
    (hands.world.directory / "storage").write_text("a file where the directory should be")


def full_disk(hands: Hands) -> None:
    hands.patch.setattr("node_fsm.steps.readiness.shutil.disk_usage", lambda _: Usage(5_000_000))


def taken_port(hands: Hands) -> None:
    hands.end.enter_context(listening(hands.world.settings.node_p2p_listen.port))


def another_program(hands: Hands) -> None:
    write_program(hands.world.directory / "jcli", "#!/bin/sh\necho grep 3.8\n")


def bad_template(hands: Hands) -> None:
    file = hands.world.directory / "template.yaml"
    file.write_text(packaged_template().read_text().replace("slot_duration:", "slot_durations:"))
    hands.world.environment["NODE_FSM_BLOCK0_TEMPLATE"] = str(file)


def careless_s3(hands: Hands) -> None:
    hands.patch.setattr(node_fsm.preparation.doctor, "TrialStore", CarelessStore)


def impatient_s3(hands: Hands) -> None:
    hands.patch.setattr("node_fsm.s3.parts.RETRY_DELAYS", (0.0,))
    hands.world.environment["NODE_FSM_S3_ENDPOINT_URL"] = "http://127.0.0.1:1"


DOCTOR = {
    "the database does not answer": Broken(url(r":\d+/", ":1/"), "the database cannot be reached"),
    "the database's password is wrong": Broken(url("//(.*?):.*@", r"//\1:wrong@"), "check NODE_FSM_DATABASE_URL"),
    "the database takes no writes": Broken(read_only, "name the primary in NODE_FSM_DATABASE_URL"),
    "the database has no tables": Broken(
        sql("DROP SCHEMA public CASCADE", "CREATE SCHEMA public", "GRANT USAGE ON SCHEMA public TO PUBLIC"),
        "`node-fsm db upgrade` makes them",
    ),
    "the login may not use the schema": Broken(
        sql("REVOKE USAGE ON SCHEMA public FROM PUBLIC, node_fsm_node, node_fsm_leader0"),
        "`GRANT USAGE ON SCHEMA public TO leader0` by the owner",
    ),
    "the schema is older": Broken(
        sql("ALTER TABLE node_status DROP COLUMN votes"), "node_status.votes .* run `node-fsm db up"
    ),
    "the schema is newer": Broken(sql("UPDATE alembic_version SET version_num = '9999'"), "install the newer node-fsm"),
    "the login lacks rights": Broken(
        weak_login, r"GRANT INSERT ON archive TO weak_.*GRANT UPDATE \(extras\) ON election"
    ),
    "a pooler keeps notifications": Broken(deaf, "give it a pool in session mode"),
    "the clock is wrong": Broken(slow_clock, "clock is 9 s behind the database's.*mend the clock"),
    "a row cannot be read": Broken(odd_time, "election.tallying_end of election .* correct the row by SQL"),
    "this host has another name": Broken(
        set_("NODE_FSM_HOSTNAME", "laeder0"), "no row for laeder0; add it with `node-fsm n"
    ),
    "two hosts are leader 0": Broken(
        two_leaders0, "other runs as leader 0, too; set NODE_FSM_ROLE=node on all but one"
    ),
    "leader 0 moved without a word": Broken(unconfirmed, "run `node-fsm lease take --i-stopped-the-other` on leader0"),
    "a peer's name is none": Broken(
        sql("INSERT INTO jorm_nodes VALUES ('leader1', NULL, '/dns4/nowhere.invalid/tcp/9')"),
        "leader1 at /dns4/nowhere.invalid/tcp/9 is not reached .*NODE_FSM_NODE_P2P_ADVERTISE",
    ),
    "the key is not there": Broken(put_key(None), "has no object s3://.*leader0.sk; put it there"),
    "the key is no key": Broken(put_key(b"hello"), "put there what `jcli key generate --type ed25519` makes"),
    "the key is another node's": Broken(
        sql(f"UPDATE jorm_nodes SET leader_id = '{OTHER_KEY}'"), "put the right key there, or correct the row"
    ),
    "the archive's bucket is not there": Broken(
        set_("NODE_FSM_ARCHIVE_S3_URI", "s3://nowhere-at-all/a"), "make it, or corr"
    ),
    "S3 does not answer": Broken(impatient_s3, "did not answer get_object of s3://.*/probe"),
    "S3 writes over what is there": Broken(careless_s3, "correct NODE_FSM_ARCHIVE_S3_URI or NODE_FSM_S3_ENDPOINT_URL"),
    "the storage directory is a file": Broken(in_the_way, "give it a directory that this user may write into"),
    "the disk is full": Broken(full_disk, "make room in the file system of NODE_FSM_STORAGE_DIR"),
    "a port is taken": Broken(taken_port, "stop it or set NODE_FSM_NODE_P2P_LISTEN to a free port"),
    "jcli is not there": Broken(
        set_("NODE_FSM_JCLI_PATH", "/nowhere/jcli"), "set NODE_FSM_JCLI_PATH to the path of the exe"
    ),
    "jcli is another program": Broken(another_program, "is no jcli: .*'grep 3.8'; correct NODE_FSM_JCLI_PATH"),
    "the template is wrong": Broken(
        bad_template, "slot_durations is not a field of the template; remove it or correct"
    ),
}


def election(**columns: Any) -> Callable[[Hands], Awaitable[object]]:
    return lambda hands: add_election(hands.world.sql, **columns)


def and_then(*statements: str) -> Callable[[Hands], Awaitable[object]]:
    async def run(hands: Hands) -> None:
        await add_election(hands.world.sql)
        await sql(*statements)(hands)

    return run


async def overlapping(hands: Hands) -> None:
    await add_election(hands.world.sql)
    await add_election(hands.world.sql, "Fund 2", start=START + timedelta(hours=3))


async def slow_machine(hands: Hands) -> None:
    await and_then("UPDATE objective SET payload_type = 'private'")(hands)
    hands.world.limit = DecryptionLimit(DecryptionSpeed("jcli", 1, 0.0, 0.0, 100.0, 0.0), 60)


async def no_time(hands: Hands) -> None:
    await add_election(hands.world.sql)
    hands.world.environment["NODE_FSM_VOTING_START_OFFSET_MINUTES"] = "0"


async def told_by_leader0(hands: Hands) -> None:
    await add_election(hands.world.sql)
    await hands.world.told("leader0", "key_unusable")


PLAN = {
    "there is nothing to vote on": Broken(and_then("DELETE FROM proposal"), "add a proposal, or delete the election"),
    "a group has no voters": Broken(
        and_then("DELETE FROM voter WHERE voting_group = 'rep'"), "import voters of that group"
    ),
    "the unit is above all powers": Broken(election(voting_power_unit=10**6), "lower the unit"),
    "times are between two slots": Broken(
        election(voting_end=START + timedelta(hours=5, seconds=1)), "nearest good times"
    ),
    "voting ended before it began": Broken(
        election(start=START - timedelta(days=9)), "`node-fsm election import --replace`"
    ),
    "members have no keys": Broken(
        and_then("UPDATE objective SET payload_type = 'private'"), "committee.member_public_key of .* set the key"
    ),
    "votes take too long to decrypt": Broken(slow_machine, "longer than the 60 s of NODE_FSM_MAX_DECRYPT_SECONDS"),
    "there is no time for block 0": Broken(no_time, "set NODE_FSM_VOTING_START_OFFSET_MINUTES further from 0"),
    "two elections overlap": Broken(overlapping, "people still vote in Fund 1 until .*; move one of the two"),
    "leader 0 has no key": Broken(
        and_then("UPDATE jorm_nodes SET leader_id = NULL"),
        "set it with `node-fsm node add HOSTNAME --leader-id PUBLIC_KEY`",
    ),
    "two leaders have one key": Broken(
        and_then("INSERT INTO jorm_nodes SELECT 'leader1', leader_id FROM jorm_nodes"),
        "every leader needs a key of its own",
    ),
    "leader 0 has told of its trouble": Broken(told_by_leader0, "leader 0 says key_unusable"),
}


@pytest.fixture
def hands(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hands]:
    with ExitStack() as end:
        yield Hands(world, monkeypatch, end)


@pytest.mark.parametrize("broken", DOCTOR.values(), ids=DOCTOR)
async def test_the_doctor_finds_it_and_says_what_to_do(hands: Hands, broken: Broken) -> None:
    await breaking(hands, broken)
    objects, rows = keys(hands.world.bucket), await hands.world.rows()
    said = [finding.said for finding in await hands.world.doctor() if finding.verdict is Verdict.FAILED]
    assert any(re.search(broken.says, each) for each in said), said
    assert (keys(hands.world.bucket), unfinished_uploads(hands.world.bucket)) == (objects, [])
    assert await hands.world.rows() == rows


@pytest.mark.parametrize("broken", PLAN.values(), ids=PLAN)
async def test_the_plan_finds_it_and_says_what_to_do(hands: Hands, broken: Broken) -> None:
    await breaking(hands, broken)
    said = [problem for outlook in await hands.world.plan() for problem in outlook.problems]
    assert any(re.search(broken.says, each) for each in said), said


async def breaking(hands: Hands, broken: Broken) -> None:
    broke = broken.how(hands)
    if isinstance(broke, Awaitable):
        await broke
