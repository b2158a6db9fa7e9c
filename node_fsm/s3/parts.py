"""Large objects in parts: cut to size, a few under way at once, and each tried again after a short interruption."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from node_fsm.core.errors import TemporaryError

T = TypeVar("T")
Item = TypeVar("Item")

RETRY_DELAYS = (1.0, 4.0)
"""Seconds."""


async def patiently(request: Callable[[], Awaitable[T]]) -> T:
    """Make *request* again, a few times, while it fails for a temporary reason."""
    for delay in RETRY_DELAYS:
        try:
            return await request()
        except TemporaryError:
            await asyncio.sleep(delay)
    return await request()


async def regroup(chunks: AsyncIterator[bytes], size: int) -> AsyncGenerator[bytes, None]:
    """The same bytes in parts of *size* bytes, the last one shorter."""
    part = bytearray()
    async for chunk in chunks:
        part += chunk
        while len(part) >= size:
            with memoryview(part) as view:
                cut = bytes(view[:size])
            del part[:size]
            yield cut
    if part:
        yield bytes(part)


async def in_order(
    call: Callable[[Item], Coroutine[Any, Any, T]], items: AsyncIterator[Item], *, at_once: int
) -> AsyncGenerator[T, None]:
    """The results of *call* on the *items* in their order; at most *at_once* calls run, and none after the end."""
    running: deque[asyncio.Task[T]] = deque()
    try:
        async for item in items:
            running.append(asyncio.create_task(call(item)))
            if len(running) == at_once:
                yield await running.popleft()
        while running:
            yield await running.popleft()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
