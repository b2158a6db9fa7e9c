"""Waiting for a condition instead of for a time."""

import asyncio
from collections.abc import Callable


async def eventually(condition: Callable[[], bool], *, seconds: float = 15.0) -> None:
    """Return once *condition* holds; raises AssertionError when it does not within *seconds*."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)
    except TimeoutError as error:
        raise AssertionError(f"the condition did not come to hold within {seconds:g} s") from error
