"""Deadlines that say what was waited for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from node_fsm.core.errors import TemporaryError


@asynccontextmanager
async def deadline(seconds: float, reason: str, message: str) -> AsyncIterator[None]:
    """Raise TemporaryError with *reason* and *message* when the block takes longer than *seconds*."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise TemporaryError(reason, f"{message} within {seconds:g} s") from error
