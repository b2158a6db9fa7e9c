"""The clocks of a simulated machine."""

import asyncio
from datetime import datetime, timedelta

from tests.support.fakes import START


class TrueClock:
    """The time as it is: START when the loop begins."""

    def now(self) -> datetime:
        return START + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class HostClock(TrueClock):
    """A machine's wall clock, which somebody may set wrong; the monotonic one goes on as it does."""

    def __init__(self) -> None:
        self.error = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.error
