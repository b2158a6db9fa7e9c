"""Keeps leader 0's lease: the right to publish and to run leader 0's node, which one process has at a time."""

import asyncio

from loguru import logger

from node_fsm.core.cluster import Lease
from node_fsm.core.conditions import ConditionType
from node_fsm.engine.faults import Unwritten
from node_fsm.ports import ProcessPhase
from node_fsm.steps.context import Context

LEASE_SECONDS = 30.0
RENEWAL_SECONDS = 5.0
HELD_ELSEWHERE = (
    "LeaseHeldElsewhere",
    "another service is leader 0, so this one runs no node and stands by; stop the one that is not meant",
)


class LeaseKeeper:
    """Renews the lease for as long as it runs, and tells the context what it holds."""

    def __init__(self, ctx: Context, instance: str, unwritten: Unwritten) -> None:
        self._ctx = ctx
        self._instance = instance
        self._held: Lease | None = None
        """The last lease that this service had, until it has said that its node stopped."""
        self._outage = unwritten.outage("the lease")

    async def run(self) -> None:
        """Take and renew the lease until cancelled; while another has it, see that no node runs here."""
        while True:
            await self._renew()
            await asyncio.sleep(RENEWAL_SECONDS)

    async def _renew(self) -> None:
        ctx = self._ctx
        try:
            lease = await ctx.database.acquire_lease(ctx.settings.hostname, self._instance, LEASE_SECONDS)
            self._has(lease)
            if lease is None:
                await self._stand_by()
        except Exception as error:  # noqa: BLE001 - what is held stays held: the database checks publications anyway
            self._outage.failed(error)
            return
        self._outage.ended()

    def _has(self, lease: Lease | None) -> None:
        """Take note of the lease as it is now; the engine hears what is new about it."""
        ctx, before = self._ctx, self._ctx.lease
        ctx.lease, self._held = lease, lease or self._held
        ctx.conditions.set(ConditionType.OTHER_LEADER0, lease.problem if lease else HELD_ELSEWHERE)
        if (lease and lease.generation) != (before and before.generation):
            logger.info("the lease is {}", f"ours, generation {lease.generation}" if lease else "another's")
        if (lease and (lease.generation, lease.problem)) != (before and (before.generation, before.problem)):
            ctx.mailbox.look_again()

    async def _stand_by(self) -> None:
        """Another has the lease, and may run its node: stop ours, and say that it has stopped.

        Looked at every time, since a step under way may just have asked for a node.
        """
        node = self._ctx.node
        if node.state.phase is not ProcessPhase.STOPPED:
            logger.warning("another service is leader 0 now: the node is stopped here")
            await node.stop()
        if self._held:
            await self._ctx.database.release_lease(self._held)
            self._held = None

    async def release(self) -> None:
        """Say that this service has stopped, node included, so that another may take over at once."""
        if self._held:
            try:
                await self._ctx.database.release_lease(self._held)
            except Exception as error:  # noqa: BLE001 - the service ends, whatever this raises
                logger.warning("the lease could not be given up, it expires by itself: {}", error)
