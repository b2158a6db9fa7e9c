"""Being asked to stop: once is enough, and nothing is left behind."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

T = TypeVar("T")


class InterruptedBySignalError(Exception):
    """The demo was asked to stop, and has cleared everything away."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.exit_code = 128 + number


async def until_signalled(work: Coroutine[Any, Any, T]) -> T:
    """What *work* gives; a signal cancels it, and further ones do not disturb it while it clears away."""
    task = asyncio.create_task(work)
    received: list[int] = []

    def interrupt(number: int) -> None:
        if not received:
            task.cancel()
        received.append(number)

    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, interrupt, number)
    try:
        return await task
    except asyncio.CancelledError:
        if received:
            raise InterruptedBySignalError(received[0]) from None
        raise
