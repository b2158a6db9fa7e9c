"""Blocking work on threads, for coroutines."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

T = TypeVar("T")


async def in_thread(pool: Executor | None, function: Callable[[], T]) -> T:
    """Run *function* on a thread of *pool*, the event loop's own when None.

    A thread cannot be cancelled: cancelled, this waits for the function's end and only then passes the cancellation
    on, so that nothing works on behind its caller's back. Keep the function short, or bounded by timeouts.
    """
    future = asyncio.get_running_loop().run_in_executor(pool, function)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        if not future.cancelled():
            future.exception()  # nobody is left to be told; asyncio would log it as an error never seen
        raise
