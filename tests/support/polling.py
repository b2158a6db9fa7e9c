"""Waiting for a condition instead of for a time."""

import asyncio
from collections.abc import Callable

HANGING = 120.0
"""Seconds after which a wait is taken to hang. Not how long anything may take: a busy machine with two cores must not
miss it, and what is quick costs nothing by it. Only a wait that is itself tested has another limit.
"""


async def eventually(condition: Callable[[], bool], *, seconds: float = HANGING) -> None:
    """Return once *condition* holds; raises AssertionError when it does not within *seconds*."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)
    except TimeoutError as error:
        raise AssertionError(f"the condition did not come to hold within {seconds:g} s") from error
