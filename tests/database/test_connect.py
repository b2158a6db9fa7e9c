import asyncpg
import pytest

from node_fsm.core.errors import PermanentError
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.database.connect import parse_url
from node_fsm.database.session import Session

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
