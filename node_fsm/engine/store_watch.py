"""Whether S3 is back after it was away, for what waits for it and should not wait longer."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.steps.context import Context

PROBE_SECONDS = 5.0


class StoreWatch:
    """Asks S3 for a short listing every few seconds, from when it is said to be away until it answers.

    One that answers at once is not away as a whole: what failed then has its own reasons, and its own delays.
    """

    def __init__(self, ctx: Context, on_back: Callable[[], None]) -> None:
        self._ctx = ctx
        self._on_back = on_back
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Something failed because S3 did not answer."""
        uri = self._ctx.settings.archive_uri or self._ctx.settings.signing_key_uri
        if uri and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._watch(uri), name="S3 is back")

    def end(self) -> None:
        """Nobody waits for S3 any more."""
        if self._task:
            self._task.cancel()
            self._task = None

    async def _watch(self, uri: str) -> None:
        was_away = False
        while not await self._answers(uri):
            was_away = True
            await asyncio.sleep(PROBE_SECONDS)
        if was_away:
            self._on_back()

    async def _answers(self, uri: str) -> bool:
        try:
            with suppress(PermanentError):  # a refusal is an answer
                await self._ctx.store.uris(f"{uri}/")
        except TemporaryError:
            return False
        return True
