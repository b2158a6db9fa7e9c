"""The embedded Postgres: what it serves, to whom, and what is left of it."""

import asyncio
import os
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import psutil
import pytest
import pytest_asyncio
from node_fsm_sandbox.servers import postgres
from node_fsm_sandbox.servers.postgres import EmbeddedPostgres
from node_fsm_sandbox.servers.server import EmbeddedServerError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.support.executable import write_executable
from tests.support.polling import HANGING, eventually
from tests.support.processes import command_of, is_running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server() -> AsyncIterator[EmbeddedPostgres]:
    """A server that tests may break for a while."""
    async with EmbeddedPostgres(fast=True) as running:
        yield running


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that the server's user reaches, unlike tmp_path, which is its owner's alone."""
    folder = Path(tempfile.mkdtemp(prefix="node-fsm-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


async def fetch(url: str, query: str) -> object:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=HANGING)
    try:
        return await connection.fetchval(query, timeout=HANGING)
    finally:
        connection.terminate()


async def test_its_url_is_good_for_sqlalchemy_and_asyncpg(server: EmbeddedPostgres) -> None:
    engine = create_async_engine(server.url())
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT current_user")) == "postgres"
    await engine.dispose()
    assert await fetch(server.url(), "SELECT inet_server_port()") == server.port


async def test_tcp_wants_the_password(server: EmbeddedPostgres) -> None:
    for password in ("wrong", None):
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(host="127.0.0.1", port=server.port, user="postgres", password=password)


async def test_the_password_is_in_no_command_line(server: EmbeddedPostgres) -> None:
    password = server.url().split(":")[2].split("@")[0]
    family = psutil.Process().children(recursive=True)
    assert server.pid in {process.pid for process in family}
    assert not any(password in argument for process in family for argument in command_of(process))


async def test_only_its_user_reaches_the_unix_socket(server: EmbeddedPostgres) -> None:
    sockets = (server.directory / "sockets").stat()
    assert stat.S_IMODE(sockets.st_mode) == 0o700
    assert sockets.st_uid == psutil.Process(server.pid).uids().real != 0


async def test_a_postgres_on_the_path_is_not_used(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("postgres", "initdb"):
        write_executable(place / name, "raise SystemExit(99)").chmod(0o755)
    monkeypatch.setenv("PATH", str(place))
    async with EmbeddedPostgres(fast=True) as server:
        executable = Path(psutil.Process(server.pid).exe())
        own = (postgres.installed(), server.directory)  # a copy, where its user cannot read what root installed
        assert any(executable.is_relative_to(folder) for folder in own)


async def test_listeners_are_notified(server: EmbeddedPostgres) -> None:
    listener = await asyncpg.connect(server.url().replace("+asyncpg", ""))
    heard: asyncio.Queue[str] = asyncio.Queue()
    await listener.add_listener("news", lambda *message: heard.put_nowait(message[3]))
    await fetch(server.url(), "SELECT pg_notify('news', 'hello')")
    assert await asyncio.wait_for(heard.get(), HANGING) == "hello"
    await listener.close()


async def test_copies_of_a_template_are_apart(server: EmbeddedPostgres) -> None:
    template = await server.create_database("origin")
    await fetch(template, "CREATE TABLE vote (id int)")
    first = await server.create_database("first", template="origin")
    second = await server.create_database("Second-copy", template="origin")
    await fetch(first, "INSERT INTO vote VALUES (1)")
    assert await fetch(first, "SELECT count(*) FROM vote") == 1
    assert await fetch(second, "SELECT count(*) FROM vote") == 0
    assert await fetch(template, "SELECT count(*) FROM vote") == 0


async def test_a_dropped_database_is_gone_in_spite_of_its_users(server: EmbeddedPostgres) -> None:
    user = await asyncpg.connect((await server.create_database("dropped")).replace("+asyncpg", ""))
    await server.drop_database("dropped")
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError)):
        await user.fetchval("SELECT 1", timeout=HANGING)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await fetch(server.url("dropped"), "SELECT 1")


async def test_what_it_refuses_is_told_in_a_sentence(server: EmbeddedPostgres) -> None:
    with pytest.raises(EmbeddedServerError, match=r'^Postgres does not .*: database "nothing" does not exist; the end'):
        await server.drop_database("nothing")


async def test_while_paused_nobody_is_answered(server: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(server.url().replace("+asyncpg", ""))
    await server.pause()
    answer = asyncio.create_task(connection.fetchval("SELECT 42"))
    await asyncio.wait([answer], timeout=0.3)
    assert not answer.done()
    assert {psutil.STATUS_STOPPED} == {process.status() for process in family(server.pid)}
    await server.resume()
    assert await asyncio.wait_for(answer, HANGING) == 42
    await connection.close()


@pytest.mark.parametrize("way", ["restart", "kill", "kill while paused"])
async def test_it_comes_back_at_the_same_url_with_what_was_committed(server: EmbeddedPostgres, way: str) -> None:
    url = await server.create_database(way)
    await fetch(url, "CREATE TABLE vote AS SELECT 7 AS choice")
    before = family(server.pid)
    if way == "restart":
        await server.restart()
    else:
        if way == "kill while paused":
            await server.pause()
        await server.kill()
        assert not any(is_running(process.pid) for process in before)
        with pytest.raises(ConnectionRefusedError):
            await fetch(url, "SELECT 1")
        await server.start()
    assert not any(is_running(process.pid) for process in before)
    assert await fetch(url, "SELECT choice FROM vote") == 7


async def test_a_killed_server_leaves_no_shared_memory(server: EmbeddedPostgres) -> None:
    pid_file = server.directory / "data" / "postmaster.pid"
    segment = pid_file.read_text().splitlines()[6].split()[1]
    assert segment in shared_memory()
    await server.kill()
    assert segment not in shared_memory()
    await server.start()


async def test_it_cannot_be_started_twice(server: EmbeddedPostgres) -> None:
    with pytest.raises(EmbeddedServerError, match="running already"):
        await server.start()
    assert await fetch(server.url(), "SELECT 1") == 1


async def test_stop_leaves_nothing_behind() -> None:
    server = EmbeddedPostgres(fast=True)
    await server.start()
    directory, processes = server.directory, family(server.pid)
    await server.stop()
    assert not directory.exists()
    assert not any(is_running(process.pid) for process in processes)
    await server.stop()


async def test_given_data_are_kept_and_get_a_new_password(place: Path) -> None:
    async with EmbeddedPostgres(place / "data") as first:
        await fetch(first.url(), "CREATE TABLE vote AS SELECT 7 AS choice")
        await first.kill()
    async with EmbeddedPostgres(place / "data") as second:
        assert await fetch(second.url(), "SELECT choice FROM vote") == 7
        assert await fetch(second.url(), "SHOW fsync") == "on"
        old_password = first.url().replace(f":{first.port}/", f":{second.port}/")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await fetch(old_password, "SELECT 1")
    assert [path.name for path in place.iterdir()] == ["data"]


async def test_a_folder_with_something_else_in_it_is_left_alone(place: Path) -> None:
    (place / "letter").write_text("dear")
    with pytest.raises(EmbeddedServerError, match="not a Postgres data directory"):
        await EmbeddedPostgres(place).start()
    assert [path.name for path in place.iterdir()] == ["letter"]


async def test_executables_that_its_user_cannot_read_are_copied(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in (postgres.INSTALLATION, postgres.LIBRARIES):
        shutil.copytree(postgres.installed() / part, place / part)
    place.chmod(0o700)
    monkeypatch.setattr(postgres, "installed", lambda: place)
    async with EmbeddedPostgres(fast=True) as server:
        executable = Path(psutil.Process(server.pid).exe())
        expected = server.directory if os.geteuid() == 0 else place
        assert executable == expected / postgres.INSTALLATION / "bin" / "postgres"
        await server.restart()
        assert await fetch(server.url(), "SELECT 1") == 1


async def test_a_start_that_fails_says_why_and_leaves_nothing_behind(server: EmbeddedPostgres) -> None:
    unlucky = EmbeddedPostgres(fast=True)
    unlucky.port = server.port
    before = set(family(os.getpid()))
    with pytest.raises(EmbeddedServerError, match="Address already in use"):
        await unlucky.start()
    assert begun_since(before) == []
    with pytest.raises(EmbeddedServerError, match="was not started"):
        await unlucky.kill()


async def test_a_cancelled_start_leaves_nothing_behind() -> None:
    server = EmbeddedPostgres(fast=True)
    before = set(family(os.getpid()))
    start = asyncio.create_task(server.start())
    await eventually(lambda: any("initdb" in "".join(command_of(process)[:1]) for process in family(os.getpid())))
    directory = server.directory
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert not directory.exists()
    assert begun_since(before) == []


def begun_since(before: set[psutil.Process]) -> list[psutil.Process]:
    """What has begun of this process since, but for what the servers of *before* fork all the time."""
    servers = {process.pid for process in before} - {os.getpid()}
    found = []
    for process in set(family(os.getpid())) - before:
        with suppress(psutil.NoSuchProcess):
            if process.ppid() not in servers:
                found.append(process)
    return found


def family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def shared_memory() -> set[str]:
    return {line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()}
