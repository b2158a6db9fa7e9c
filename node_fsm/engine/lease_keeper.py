"""Keeps leader 0's lease: the right to publish, which one process has at a time."""

import asyncio

from loguru import logger

from node_fsm.core.conditions import ConditionType
from node_fsm.engine.faults import Outage
from node_fsm.steps.context import Context

LEASE_SECONDS = 30.0
RENEWAL_SECONDS = 5.0
HELD_ELSEWHERE = ("LeaseHeldElsewhere", "another service is leader 0; stop it, or wait until its lease expires")


class LeaseKeeper:
    """Renews the lease for as long as it runs, and tells the context what it holds."""

    def __init__(self, ctx: Context, instance: str) -> None:
        self._ctx = ctx
        self._instance = instance
        self._outage = Outage("the lease could not be renewed")

    async def run(self) -> None:
        """Take and renew the lease until cancelled."""
        while True:
            await self._renew()
            await asyncio.sleep(RENEWAL_SECONDS)

    async def _renew(self) -> None:
        ctx = self._ctx
        try:
            lease = await ctx.database.acquire_lease(ctx.settings.hostname, self._instance, LEASE_SECONDS)
        except Exception as error:  # noqa: BLE001 - what is held stays held: the database checks publications anyway
            self._outage.failed(error)
            return
        self._outage.ended()
        if (lease and lease.generation) != (ctx.lease and ctx.lease.generation):
            logger.info("the lease is {}", f"ours, generation {lease.generation}" if lease else "another's")
            ctx.mailbox.look_again()
        ctx.lease = lease
        ctx.conditions.set(ConditionType.OTHER_LEADER0, lease.problem if lease else HELD_ELSEWHERE)

    async def release(self) -> None:
        """Say that this service has stopped, node included, so that another may take over at once."""
        if self._ctx.lease:
            try:
                await self._ctx.database.release_lease(self._ctx.lease)
            except Exception as error:  # noqa: BLE001 - the service ends, whatever this raises
                logger.warning("the lease could not be given up, it expires by itself: {}", error)
