"""An event loop whose clock jumps: when nothing is left to do but wait, it is later at once.

Deadlines, pauses and retries of hours take no time at all, and happen in the same order every time. Threads are waited
for in real time, since they have no clock that could jump.
"""

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from concurrent.futures import Future as ThreadFuture
from datetime import datetime, timedelta
from typing import Any

from tests.support.fakes import START
from tests.support.polling import HANGING


class _Selector(selectors.DefaultSelector):
    """Instead of waiting for the next timer it moves the loop's clock to it."""

    loop: "VirtualTimeLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None or self.loop.threads:
            ready = super().select(HANGING)
            if not ready:
                raise RuntimeError("everything waits for something that never comes")
            return ready
        self.loop.skip(timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The loop; its clock starts at 0."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self.threads = 0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """Seconds on the clock that jumps."""
        return self._seconds

    def skip(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self._seconds += seconds

    def run_in_executor(  # type: ignore[override]  # the base class is typed by type variables of its stub
        self, executor: Executor | None, function: Callable[..., Any], *arguments: Any
    ) -> "asyncio.Future[Any]":
        return self.wait_for_thread(super().run_in_executor(executor, function, *arguments))

    def wait_for_thread(self, future: "asyncio.Future[Any]") -> "asyncio.Future[Any]":
        """Let no time pass until *future*, which a thread settles, is done."""
        self.threads += 1
        future.add_done_callback(self._thread_ended)
        return future

    def wrap_call(self, call: "ThreadFuture[Any]") -> "asyncio.Future[Any]":
        """The end of a thread's *call*, as a future of this loop."""
        return self.wait_for_thread(_wrap_future(call, loop=self))

    def _thread_ended(self, _: "asyncio.Future[Any]") -> None:
        self.threads -= 1


_wrap_future = asyncio.wrap_future


def _wrap_and_wait_for(
    future: "ThreadFuture[Any]", *, loop: asyncio.AbstractEventLoop | None = None
) -> "asyncio.Future[Any]":
    """As asyncio's own; what was handed to a pool without asking the loop is waited for too."""
    running = loop or asyncio.get_running_loop()
    if isinstance(running, VirtualTimeLoop):
        return running.wrap_call(future)
    return _wrap_future(future, loop=loop)


asyncio.wrap_future = _wrap_and_wait_for  # type: ignore[assignment]


class LoopClock:
    """Both clocks of the service, by the loop's: the wall clock from START on, which a test may set ahead."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start

    def now(self) -> datetime:
        return self._start + timedelta(seconds=asyncio.get_running_loop().time())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def advance(self, **delta: float) -> None:
        self._start += timedelta(**delta)
