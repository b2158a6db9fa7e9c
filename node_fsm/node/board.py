"""Where it is written how the node is, for whoever wants to know or waits for it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from loguru import logger

from node_fsm.ports import Clock, NodeStatus, ProcessPhase


class NodeBoard:
    """The node's status. *on_change* is called, synchronously, whenever it has changed."""

    def __init__(self, on_change: Callable[[], None], clock: Clock) -> None:
        self._on_change = on_change
        self._clock = clock
        self._status = NodeStatus(ProcessPhase.STOPPED, clock.now())
        self._changed = asyncio.Event()

    @property
    def status(self) -> NodeStatus:
        """How the node is now."""
        return self._status

    async def changed(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()

    def publish(self, **changes: Any) -> None:
        """Change these fields of the status."""
        status = replace(self._status, **changes)
        if status.phase is not self._status.phase:
            status = replace(status, since=self._clock.now())
            logger.info("node process: {}", status.phase)
        self._set(status)

    def stopped(self) -> None:
        """Nothing is left of the node."""
        self._set(NodeStatus(ProcessPhase.STOPPED, self._clock.now(), self._status.starts, self._status.restarts))

    def _set(self, status: NodeStatus) -> None:
        if status != self._status:
            self._status = status
            self._changed.set()
            self._changed = asyncio.Event()
            self._on_change()
