"""Archiving: the chain and what was recorded of it go to S3, and are read back."""

import json
from dataclasses import asdict

from loguru import logger

from node_fsm.aio.threads import DISK, LONG, in_thread
from node_fsm.core.errors import ServiceError
from node_fsm.core.events import Event
from node_fsm.core.model import ArchiveKind, StoredArchive
from node_fsm.core.phases import Phase
from node_fsm.core.view import Decision, LocalChain
from node_fsm.steps.archive import About, archive, record_archive, write_record
from node_fsm.steps.context import Context
from states.base import PhaseState

SUPERSEDED_PATIENCE_SECONDS = 120.0
RESULTS = "results.json"


class Archiving(PhaseState):
    """A final archive is waited for as long as it takes. A superseded chain gives way to the next one."""

    phase = Phase.ARCHIVING

    def __init__(self) -> None:
        super().__init__()
        self._first_refusal: tuple[str, float] | None = None

    async def run(self, ctx: Context) -> Decision:
        """Archive the chain in work, unless that is done already."""
        block0 = ctx.block0_in_work()
        withdrawn = block0.hash in ctx.known_overview().withdrawn
        about = About.in_work(ctx, ArchiveKind.SUPERSEDED if withdrawn else ArchiveKind.FINAL)
        found = await ctx.database.archive(block0.hash)
        if found and found.kind is about.kind:
            return Decision(Event.ARCHIVED, f"the archive {found.uri} is verified already")
        if withdrawn and not ctx.chain().blocks.exists():
            return Decision(
                Event.ARCHIVED, "nothing of the superseded chain was copied, so there is nothing to archive"
            )
        await in_thread(DISK, about.write, ctx.chain())
        try:
            made = await self._archive(ctx, about)
        except ServiceError as error:
            if about.kind is ArchiveKind.SUPERSEDED and self._is_out_of_patience(ctx, block0.hash):
                return await self._set_aside(ctx, error)
            raise
        await record_archive(ctx, ctx.chain(), made)
        ctx.metrics.archive_verified(made.bytes, made.verified_at)
        ctx.database_changed()
        return Decision(Event.ARCHIVED, f"the archive {made.uri} ({made.bytes} bytes) was read back and is whole")

    async def _archive(self, ctx: Context, about: About) -> StoredArchive:
        chain = ctx.chain()
        if about.kind is ArchiveKind.SUPERSEDED:
            return await archive(ctx, chain, about, results=None, untallied="block 0 was withdrawn")
        results = await ctx.database.results(about.block0_hash)
        if not results:
            return await archive(ctx, chain, about, results=None, untallied="no result could be had in time")
        document = json.dumps([asdict(result) for result in results], indent=1).encode()
        await in_thread(DISK, write_record, chain, RESULTS, document)
        return await archive(ctx, chain, about, results=results, untallied=None)

    def _is_out_of_patience(self, ctx: Context, block0_hash: str) -> bool:
        if self._first_refusal is None or self._first_refusal[0] != block0_hash:
            self._first_refusal = (block0_hash, ctx.clock.monotonic())
        return ctx.clock.monotonic() - self._first_refusal[1] > SUPERSEDED_PATIENCE_SECONDS

    async def _set_aside(self, ctx: Context, error: ServiceError) -> Decision:
        work, block0 = ctx.election_in_work(), ctx.block0_in_work()
        local = LocalChain(work.election_id, block0.hash, has_blocks=True)
        target = await in_thread(LONG, ctx.workspace.set_aside, local, ctx.clock.now())
        logger.warning("the superseded chain {} is archived later: {}", block0.hash, error)
        return Decision(Event.ARCHIVED, f"the superseded chain was set aside as {target.name}, to be archived later")
