"""The election database of a simulated cluster: it notifies of changes, unless that is lost."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from tests.support.memory_database import MemoryDatabase

TELLING = frozenset(
    {
        "publish_block0",
        "restore_block0",
        "withdraw_block0",
        "save_tally_snapshot",
        "post_shares",
        "post_results",
        "save_archive",
        "announce",
    }
)
"""What others are notified of."""

_TABLES = (
    *("rows", "published", "specified", "withdrawn", "snapshots", "posted_shares", "opened", "posted"),
    *("disputes", "confirmed", "archives", "blocks", "counted", "journalled", "statuses", "copies"),
    *("handed", "resolved", "lost_votes"),
)


@dataclass
class SimulatedDatabase(MemoryDatabase):
    """*listeners* are told of each change after a delay, or never: *delay* draws the seconds, None when it is lost."""

    listeners: list[Callable[[], None]] = field(default_factory=list)
    delay: Callable[[], float | None] = lambda: 0.0

    async def listen(
        self, on_change: Callable[[], None], on_problem: Callable[[tuple[str, str] | None], None]
    ) -> NoReturn:
        self.listeners.append(on_change)
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    def notify(self) -> None:
        """Tell who listens that something has changed, whatever becomes of who changed it."""
        loop = asyncio.get_running_loop()
        for listener in self.listeners:
            if (delay := self.delay()) is not None:
                loop.call_later(delay, listener, context=Context())

    def copy(self) -> dict[str, Any]:
        """All that stands in it now."""
        return {name: deepcopy(getattr(self, name)) for name in _TABLES}

    def restore(self, copy: dict[str, Any]) -> None:
        """Be as it was when that *copy* was made: what was written since is gone, but for what operators wrote.

        They write it again.
        """
        specified = dict(self.rows)
        for name, table in copy.items():
            kept = getattr(self, name)
            kept.clear()
            kept.extend(table) if isinstance(kept, list) else kept.update(table)
        for id_, row in specified.items():
            restored = self.rows.setdefault(id_, replace(row, block0=None))
            restored.spec, restored.cancelled = row.spec, row.cancelled
        self.notify()

    @contextmanager
    def _call(self, method: str) -> Iterator[None]:
        with super()._call(method):
            yield
        if method in TELLING:
            self.notify()
