"""The parts of the status page, put together."""

import asyncio
from collections.abc import Awaitable, Callable

from fastapi import APIRouter

from node_fsm.core.cluster_status import ClusterStatus
from node_fsm.engine.status import StateSource
from node_fsm.ports import Clock
from node_fsm.sidecar.page.cluster_watch import ClusterWatch
from node_fsm.sidecar.page.live import Live
from node_fsm.sidecar.page.render import Renderer
from node_fsm.sidecar.page.routes import routes
from node_fsm.sidecar.page.runbook import anchors, packaged_runbook


class StatusPage:
    """One service's page: *router* has its addresses, :meth:`run` keeps it up to date.

    *read* asks the database for the cluster's status; it is called in the background alone.
    """

    def __init__(self, source: StateSource, read: Callable[[], Awaitable[ClusterStatus]], clock: Clock) -> None:
        runbook = packaged_runbook().read_text()
        renderer = Renderer(anchors(runbook))
        self._cluster = ClusterWatch(read)
        self._live = Live(source, self._cluster, renderer, now=clock.now, monotonic=clock.monotonic)
        self.router: APIRouter = routes(self._live, renderer, runbook)

    @property
    def streams(self) -> int:
        """How many browsers are told of changes now."""
        return self._live.streams

    async def run(self) -> None:
        """Read the cluster, sample the chain and tell browsers what changes, until cancelled."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._cluster.run(), name="the page's reading of the cluster")
            both.create_task(self._live.run(), name="the page's updates")
