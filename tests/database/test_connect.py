import asyncio
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy import text

from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.database.connect import ALL_SECONDS, _takes_writes, parse_url
from node_fsm.database.session import Session
from tests.support.proxy import FaultyProxy

PASSWORD = "hunter2"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_the_driver_need_not_be_named(scheme: str) -> None:
    url = parse_url(f"{scheme}://me:{PASSWORD}@db:5433/elections?ssl=require")
    assert url.drivername == "postgresql+asyncpg"
    assert (url.username, url.password, url.host, url.port, url.database) == ("me", PASSWORD, "db", 5433, "elections")


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://me:{PASSWORD}@db/elections",
        f"postgresql+psycopg://me:{PASSWORD}@db/elections",
        f"postgresql://me:{PASSWORD}@db:port/elections",
        f"postgresql://me:{PASSWORD}@db/elections?sslmode=require",
        f"postgresql://me:{PASSWORD}@db/elections?timeout=10",
        f"postgresql://me:{PASSWORD}@db/elections?statement_cache_size=0",
        f"postgresql://me:{PASSWORD}@db/elections?ssl={PASSWORD}",
        f"me:{PASSWORD}@db/elections",
        f"postgresql://me:{PASSWORD}@db/elections?target_session_attrs=standby",
        "",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(PermanentError) as caught:
        PostgresDatabase(url)
    assert caught.value.reason == "DatabaseUrlInvalid"
    assert "NODE_FSM_DATABASE_URL" in caught.value.message
    assert PASSWORD not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("hosts", "rest", "named"),
    [
        ("a:1,b:2", "/elections", ("a:1", "b:2")),
        ("a,b:2", "/elections?ssl=require", ("a:5432", "b:2")),
    ],
)
def test_several_hosts_may_stand_as_libpq_has_them(hosts: str, rest: str, named: tuple[str, ...]) -> None:
    url = parse_url(f"postgresql://me:{PASSWORD}@{hosts}{rest}")
    assert url.query["host"] == named
    assert (url.username, url.password, url.database) == ("me", PASSWORD, "elections")
    assert url.query.get("ssl") == ("require" if "ssl" in rest else None)


def two_servers(url: str, first: int) -> str:
    """The URL of a server at another port beside that of *url*."""
    parts = urlsplit(url)
    credentials = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{credentials}@127.0.0.1:{first},127.0.0.1:{parts.port}").geturl()


async def test_a_host_whose_name_is_unknown_is_named() -> None:
    session = Session(f"postgresql://me:{PASSWORD}@database.invalid:5433/elections")
    with pytest.raises(TemporaryError, match=r"cannot be reached: .*database\.invalid: ") as caught:
        async with session.transaction("first"):
            pass
    await session.close()
    assert PASSWORD not in str(caught.value)


async def test_a_silent_server_does_not_take_the_time_of_the_next(database_url: str) -> None:
    port = urlsplit(database_url).port
    assert port
    with FaultyProxy(port) as proxy:
        proxy.blackhole()
        session = Session(two_servers(database_url, proxy.port))
        async with session.transaction("first") as connection:
            assert await connection.scalar(text("SELECT 1")) == 1
        began = asyncio.get_running_loop().time()
        (await session.connect()).terminate()
        await session.close()
        assert asyncio.get_running_loop().time() - began < ALL_SECONDS / 2, "the one that answered comes first"


@pytest.mark.parametrize(("writable", "asked"), [([False, True], 2), ([False, False], 2), ([True], 1)])
async def test_of_several_servers_one_that_takes_writes_is_looked_for(
    database_url: str, monkeypatch: pytest.MonkeyPatch, writable: list[bool], asked: int
) -> None:
    answers = iter(writable)
    connections: list[asyncpg.Connection] = []

    async def takes_writes(connection: asyncpg.Connection) -> bool:
        connections.append(connection)
        return next(answers)

    monkeypatch.setattr("node_fsm.database.connect._takes_writes", takes_writes)
    port = urlsplit(database_url).port
    assert port
    session = Session(two_servers(database_url, port))
    connection = await session.connect()
    assert len(connections) == asked
    assert connection is connections[-1 if any(writable) else 0], "one that can be read is better than none"
    await connection.close()
    await session.close()


async def test_a_server_that_is_read_only_is_known(database_url: str) -> None:
    session = Session(database_url)
    connection = await session.connect()
    assert await _takes_writes(connection)
    await connection.execute("SET default_transaction_read_only = on")
    assert not await _takes_writes(connection)
    await connection.close()
    await session.close()


async def test_nothing_is_asked_at_the_start_that_a_pooler_refuses(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}
    connect = asyncpg.connect

    async def watched(**arguments: Any) -> asyncpg.Connection:
        asked.update(arguments)
        return await connect(**arguments)

    monkeypatch.setattr(asyncpg, "connect", watched)
    session = Session(database_url)
    (await session.connect()).terminate()
    await session.close()
    assert asked["server_settings"].keys() == {"application_name"}


async def test_connections_say_who_they_are_and_give_up(database_url: str) -> None:
    session = Session(database_url)
    async with session.transaction("settings", 3) as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert isinstance(driver, asyncpg.Connection)
        rows = await driver.fetch("SELECT name, setting FROM pg_settings")
    await session.close()
    settings = {row["name"]: row["setting"] for row in rows}
    assert settings["application_name"] == "node-fsm"
    assert settings["statement_timeout"] == "3000"
    assert settings["lock_timeout"] == "5000"
    assert settings["idle_in_transaction_session_timeout"] == "60000"
    assert settings["tcp_user_timeout"] == "10000"
    assert settings["tcp_keepalives_idle"] == "5"
