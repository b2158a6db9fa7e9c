"""How commands reach S3."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node_fsm.s3.store import S3Store
    from node_fsm.settings.model import CommandSettings


def command_settings() -> "CommandSettings":
    """The settings of commands that need no database; SettingsError says what is wrong with them."""
    from node_fsm.settings.model import CommandSettings, load_settings

    return load_settings(os.environ, CommandSettings)


@asynccontextmanager
async def object_store(settings: "CommandSettings") -> "AsyncIterator[S3Store]":
    """The S3 of *settings*, closed afterwards."""
    from node_fsm.s3.store import S3Store

    store = S3Store(settings.s3_endpoint_url, credentials=settings.aws_credentials())
    try:
        yield store
    finally:
        await store.close()
