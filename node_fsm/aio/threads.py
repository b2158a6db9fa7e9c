"""Blocking work on threads, for coroutines.

Every kind of work has a few threads of its own, so that one that waits for its device keeps no other waiting: nor the
event loop's own threads, on which names are resolved.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from threading import Barrier
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Threads(ThreadPoolExecutor):
    """So many threads of a name. They begin when they are needed, or all at once by :meth:`begin`."""

    def __init__(self, size: int, name: str) -> None:
        super().__init__(size, thread_name_prefix=name)
        self._all_begun = Barrier(size)

    def begin(self) -> "Threads":
        """Have all threads, while there is memory: one that finds none keeps whoever begins it waiting for ever."""
        for begun in [self.submit(self._all_begun.wait) for _ in range(self._all_begun.parties)]:
            begun.result()
        return self


DISK: Final = Threads(4, "disk")
"""For what is short unless the disk is not well: a listing, a small file, fsync."""

LONG: Final = Threads(2, "long")
"""For what may take minutes: whole chains read, counted, compressed or deleted."""


async def in_thread(pool: Executor, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call *function* on a thread of *pool*.

    A thread cannot be cancelled: cancelled, however often, this waits for the function's end and only then passes the
    cancellation on, so that two threads never work on one file and nothing works on behind its caller's back. Work
    whose turn has not come is not begun then. Keep the function short, or bounded by timeouts.
    """
    call = pool.submit(copy_context().run, partial(function, *args, **kwargs))
    future = asyncio.wrap_future(call)
    try:
        await to_the_end(future, on_cancel=call.cancel)
    except asyncio.CancelledError:
        if not future.cancelled():
            future.exception()  # nobody is left to be told; asyncio would log it as an error never seen
        raise
    return future.result()


async def to_the_end(future: "asyncio.Future[Any]", on_cancel: Callable[[], object] = lambda: None) -> None:
    """Wait until a future or task is done, also when cancelled meanwhile, which counts afterwards.

    *on_cancel* is called then, at once, and may have the end come sooner.
    """
    cancelled = False
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError:
            cancelled = True
            on_cancel()
    if cancelled:
        raise asyncio.CancelledError
