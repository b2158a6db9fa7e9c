"""The engine's one mailbox, and the pulse by which it tells a phase's task that it has looked."""

import asyncio


class Mailbox:
    """Signals to the engine. A signal carries no news, only where to look; sent twice it counts once."""

    def __init__(self) -> None:
        self._wake = asyncio.Event()
        self._database_changed = True

    def look_again(self) -> None:
        """Something may have changed (the node, the clock, the phase's task)."""
        self._wake.set()

    def database_changed(self) -> None:
        """The database may have changed: what was read from it is stale."""
        self._database_changed = True
        self._wake.set()

    def take_database_change(self) -> bool:
        """Whether the database is to be read anew; taken once."""
        changed, self._database_changed = self._database_changed, False
        return changed

    async def wait(self, seconds: float) -> None:
        """Return at the next signal, or after *seconds*."""
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._wake.wait()
        except TimeoutError:
            return
        finally:
            self._wake.clear()


class Pulse:
    """Wakes the one who waits whenever it beats; a beat while nobody waits ends the next wait at once."""

    def __init__(self) -> None:
        self._beat = asyncio.Event()

    def beat(self) -> None:
        """Wake the one who waits, now or next."""
        self._beat.set()

    async def next(self, seconds: float) -> None:
        """Return at the first beat since the last return, or after *seconds*."""
        try:
            async with asyncio.timeout(seconds):
                await self._beat.wait()
        except TimeoutError:
            return
        finally:
            self._beat.clear()
