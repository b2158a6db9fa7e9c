"""What cannot be undone is done after a person typed the name of it, or a script said that it is meant."""

import asyncio
import os
import pty
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from node_fsm.chain.address import ed25519_public_key_text
from node_fsm.cli import app
from node_fsm.core.errors import TemporaryError
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.database.administration import cancel_election, election_state, take_lease
from tests.database.world import add_election, publish
from tests.support.polling import HANGING

LEADER_ID = ed25519_public_key_text(bytes(32))
OTHER_ID = ed25519_public_key_text(bytes([1] * 32))

Run = Callable[..., Result]


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run node-fsm on the test's database, as the host leader0; *typed* is what a person answers, None without one."""
    monkeypatch.setenv("NODE_FSM_DATABASE_URL", database_url)
    monkeypatch.setenv("NODE_FSM_HOSTNAME", "leader0")

    def invoke(*arguments: str, typed: str | None = None) -> Result:
        monkeypatch.setattr("node_fsm.cli.confirm.can_ask", lambda: typed is not None)
        return CliRunner().invoke(app, arguments, input=f"{typed}\n")

    return invoke


async def sql(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def publish_election(url: str, directory: Path, *, vanish: bool = False) -> None:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    database = PostgresDatabase(url)
    try:
        await publish(database, await add_election(connection), directory)
        if vanish:
            await connection.execute("UPDATE election SET extras = '{}'")
    finally:
        await database.close()
        await connection.close()


def is_refused_but_when_typed(run: Run, *arguments: str, name: str, said: str) -> str:
    """That *arguments* ask for *name* and change nothing without it; the question."""
    alone = run(*arguments)
    assert (alone.exit_code, alone.stdout) == (2, "")
    assert "nothing was changed: there is no terminal to ask on; give --yes" in alone.stderr
    for wrong in ("", "yes", f"{name}x"):
        refused = run(*arguments, typed=wrong)
        assert (refused.exit_code, said in refused.stdout) == (1, False)
        assert f"Type {name} to go on" in refused.stderr
        assert refused.stderr.endswith("nothing was changed\n")
    done = run(*arguments, typed=name)
    assert (done.exit_code, said in done.stdout) == (0, True), done.output
    return alone.stderr


def test_an_election_on_a_published_chain_is_cancelled_when_its_name_is_typed(
    run: Run, database_url: str, tmp_path: Path
) -> None:
    asyncio.run(publish_election(database_url, tmp_path))
    arguments = ("election", "cancel", "Fund 1")
    asked = is_refused_but_when_typed(run, *arguments, name="Fund 1", said="leader 0 withdraws block 0")
    assert "Votes on its chain are not counted. This cannot be undone." in asked
    assert run(*arguments).exit_code == 0, "it is cancelled, and nothing is asked"


def test_an_election_whose_block0_vanished_is_asked_for_too(run: Run, database_url: str, tmp_path: Path) -> None:
    asyncio.run(publish_election(database_url, tmp_path, vanish=True))
    assert run("election", "cancel", "Fund 1").exit_code == 2
    assert run("election", "cancel", "Fund 1", "--yes").exit_code == 0


def test_a_count_is_confirmed_when_the_elections_name_is_typed(run: Run, database_url: str, tmp_path: Path) -> None:
    asyncio.run(publish_election(database_url, tmp_path))
    arguments = ("election", "confirm", "Fund 1")
    is_refused_but_when_typed(run, *arguments, name="Fund 1", said="leader 0 counts it without waiting")
    assert run(*arguments).exit_code == 0, "it is confirmed, and nothing is asked"


def test_lost_votes_are_acknowledged_when_the_elections_name_is_typed(run: Run, database_url: str) -> None:
    asyncio.run(
        sql(
            database_url,
            *(
                "INSERT INTO uncounted_vote (block0_hash, fragment_id, node, election, election_name, account, weight,"
                f" why, raw) VALUES ('{'a' * 64}', '{'b' * 64}', '{node}', 1, 'Fund 1', '{'c' * 64}', 7, 'expired', '')"
                for node in ("leader0", "leader1")
            ),
        )
    )
    asked = is_refused_but_when_typed(
        *(run, "election", "acknowledge", "Fund 1"), name="Fund 1", said="1 votes of Fund 1 that are not counted"
    )
    assert "1 votes of Fund 1 with a weight of 7" in asked
    assert run("election", "acknowledge", "Fund 1").exit_code == 3, "there are none any more"


@pytest.mark.parametrize("becomes", [(), ("--leader-id", OTHER_ID)], ids=["a follower", "a leader with another key"])
def test_a_leaders_key_is_taken_away_when_its_name_is_typed(run: Run, becomes: tuple[str, ...]) -> None:
    for _ in range(2):
        assert run("node", "add", "leader1", "--leader-id", LEADER_ID).exit_code == 0
    said = f"it was a leader with the key {LEADER_ID}"
    asked = is_refused_but_when_typed(run, "node", "add", "leader1", *becomes, name="leader1", said=said)
    assert LEADER_ID in asked
    assert run("node", "add", "leader1", *becomes).exit_code == 0, "as it is already"


def test_a_node_is_removed_when_its_name_is_typed(run: Run) -> None:
    run("node", "add", "leader1")
    is_refused_but_when_typed(run, "node", "remove", "leader1", name="leader1", said="leader1 is removed")


@pytest.mark.parametrize("expires", ["now() + interval '1 hour'", "now() - interval '1 hour'"])
def test_the_lease_is_taken_when_the_other_hosts_name_is_typed(run: Run, database_url: str, expires: str) -> None:
    lease = "INSERT INTO lease VALUES ('leader0', 'old-host', 'i', 'p', 3, {}, false, null)"
    asyncio.run(sql(database_url, lease.format(expires)))
    asked = is_refused_but_when_typed(run, "lease", "take", name="old-host", said="recorded that old-host stopped")
    assert ("STILL RENEWS THE LEASE" in asked) is ("+" in expires)
    assert run("lease", "take").stdout == "no other host was in the way\n"


async def test_what_changed_between_question_and_answer_is_left_alone(database_url: str, tmp_path: Path) -> None:
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    database = PostgresDatabase(database_url)
    try:
        election = await add_election(connection)
        seen = await election_state(database.session, "Fund 1")
        await publish(database, election, tmp_path)
        with pytest.raises(TemporaryError, match="ChangedMeanwhile"):
            await cancel_election(database.session, "Fund 1", seen=seen)
        assert await connection.fetchval("SELECT cancelled_at FROM election") is None
        with pytest.raises(TemporaryError, match="ChangedMeanwhile"):
            await take_lease(database.session, "leader1", stopped=["another"])
        assert await connection.fetchval("SELECT stopped FROM lease") is False
    finally:
        await database.close()
        await connection.close()


def test_on_a_terminal_it_is_asked(run: Run, database_url: str) -> None:
    run("node", "add", "leader1", "--leader-id", LEADER_ID)
    said, code = on_a_terminal(["node", "remove", "leader1"], "leader1\n", NODE_FSM_DATABASE_URL=database_url)
    assert "Type leader1 to go on" in said
    assert f"leader1 is removed; it was a leader with the key {LEADER_ID}" in said
    assert code == 0


def on_a_terminal(arguments: list[str], typed: str, **environment: str) -> tuple[str, int]:
    """What the program prints on a terminal where *typed* is typed once it asks, and what it ends with."""
    child, terminal = pty.fork()
    if child == 0:
        command = [sys.executable, "-c", "from node_fsm.__main__ import main; main()", *arguments]
        os.execve(sys.executable, command, os.environ | environment)  # noqa: S606
    said, deadline, answered = b"", time.monotonic() + HANGING, False
    try:
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 1)[0]:
                try:
                    said += os.read(terminal, 4096)
                except OSError:  # the other end is closed
                    break
            if b"to go on" in said and not answered:
                os.write(terminal, typed.encode())
                answered = True
    finally:
        os.close(terminal)
    return " ".join(said.decode().split()), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
