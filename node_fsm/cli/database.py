"""How commands reach the database."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from node_fsm.database.session import Session
    from node_fsm.settings.model import DatabaseSettings

T = TypeVar("T")


def database_settings() -> "DatabaseSettings":
    """The settings of commands on the database; SettingsError says what is wrong with them."""
    from node_fsm.settings.model import DatabaseSettings, load_settings

    return load_settings(os.environ, DatabaseSettings)


def on_database(operation: "Callable[[Session], Awaitable[T]]") -> T:
    """The outcome of *operation* on the database of the settings. Raises what it raises, and SettingsError."""
    from node_fsm.database.session import Session

    settings = database_settings()

    async def run() -> T:
        session = Session(settings.database_url.get_secret_value())
        try:
            return await operation(session)
        finally:
            await session.close()

    return asyncio.run(run())
