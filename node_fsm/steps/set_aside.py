"""Chains that were set aside: archived while the service waits, and deleted once archives have all of their votes."""

from dataclasses import replace
from pathlib import Path

from loguru import logger

from node_fsm.aio.threads import DISK, LONG, in_thread
from node_fsm.core.conditions import ConditionType
from node_fsm.core.errors import PermanentError, ServiceError, TemporaryError
from node_fsm.core.model import ArchiveKind, Overview
from node_fsm.core.phases import Role
from node_fsm.steps.archive import ABOUT, About, archive, record_archive
from node_fsm.steps.context import Context
from node_fsm.steps.given_up import CLOSING_KINDS, is_owed, is_settled, record_given_up
from node_fsm.storage.workspace import ChainDirectory, Workspace

RETRY_SECONDS = 300.0
PATIENCE_SECONDS = 900.0
"""For so long a node keeps a chain silently that leader 0 is to archive."""


def with_deferred(overview: Overview, workspace: Workspace) -> Overview:
    """The *overview*, in which elections are marked whose final archive this machine makes later."""
    notes = map(About.read, map(ChainDirectory, workspace.set_aside_chains()))
    deferred = {note.block0_hash for note in notes if note and note.kind is ArchiveKind.FINAL}
    if not deferred:
        return overview
    marked = (
        replace(election, archive_deferred=True) if election.block0 and election.block0.hash in deferred else election
        for election in overview.elections
    )
    return replace(overview, elections=tuple(marked))


class SetAside:
    """Clears the set-aside chains of this machine, one after the other.

    Leader 0 archives its own. Another node waits for leader 0's archive, and archives only what that does not have; for
    the final or superseded one, or for that of a chain that leader 0 let go of uncounted, as this node did.
    """

    def __init__(self) -> None:
        self._next_attempt: dict[Path, float] = {}
        self._failed: dict[Path, ServiceError] = {}
        self._awaited_since: dict[Path, float] = {}

    async def clear(self, ctx: Context) -> None:
        """Try each chain; after a failure, that one not again for some minutes."""
        directories = await in_thread(DISK, ctx.workspace.set_aside_chains)
        for directory in directories:
            if ctx.clock.monotonic() < self._next_attempt.get(directory, 0.0):
                continue
            self._failed.pop(directory, None)
            try:
                await self._clear(ctx, directory)
            except ServiceError as error:
                self._failed[directory] = error
                if error.reason != "ArchiveMissing":
                    self._next_attempt[directory] = ctx.clock.monotonic() + RETRY_SECONDS
        failed = "; ".join(f"{path.name}: {self._failed[path].message}" for path in directories if path in self._failed)
        ctx.conditions.set(ConditionType.SET_ASIDE_UNARCHIVED, ("ArchiveFailed", failed) if failed else None)

    async def _clear(self, ctx: Context, directory: Path) -> None:
        chain = ChainDirectory(directory)
        about = await in_thread(DISK, About.read, chain)
        if about is None and not await in_thread(DISK, lambda: chain.has_blocks):
            return
        if about is None:
            raise PermanentError(
                "ArchiveFailed", f"no {ABOUT} says whose chain it is; move the directory to where it is kept"
            )
        withdrawn = about.kind is ArchiveKind.SUPERSEDED
        standing = await ctx.database.archive(about.block0_hash)
        if standing and (standing.kind in CLOSING_KINDS or standing.kind is about.kind is ArchiveKind.SALVAGE):
            about = replace(about, kind=ArchiveKind.DIVERGENT, election_name=standing.election_name)
        elif ctx.policy.role is Role.NODE:
            # Of a withdrawn chain without votes leader 0 may make no archive. All blocks are read for that, but once.
            is_first = directory not in self._awaited_since
            if not (withdrawn and is_first and await is_settled(ctx, chain, about.block0_hash, None, withdrawn=True)):
                if not self._has_waited(ctx, directory):
                    return
                if not withdrawn:
                    raise _missing(about)
                about = replace(about, kind=ArchiveKind.DIVERGENT)  # its votes count nowhere, so none are compared
        await record_given_up(ctx, chain, standing)
        if await is_owed(ctx, chain, about.kind) or not await is_settled(
            ctx, chain, about.block0_hash, standing, withdrawn=withdrawn
        ):
            await self._archive(ctx, chain, about)
        await in_thread(LONG, ctx.workspace.remove_set_aside, directory)
        logger.info("{} is deleted: archives have all votes of the chain {}", directory.name, about.block0_hash)
        ctx.database_changed()

    def _has_waited(self, ctx: Context, directory: Path) -> bool:
        """Whether leader 0's archive has been awaited as long as one has patience."""
        since = self._awaited_since.setdefault(directory, ctx.clock.monotonic())
        return ctx.clock.monotonic() - since >= PATIENCE_SECONDS

    async def _archive(self, ctx: Context, chain: ChainDirectory, about: About) -> None:
        if not await in_thread(DISK, chain.blocks.exists):
            raise PermanentError(
                "ArchiveFailed",
                "its blocks are in the node's store alone, and no archive can be made of that; move the directory to"
                " where it is kept",
            )
        made = await archive(ctx, chain, about)
        await record_archive(ctx, chain, made)
        logger.info("the chain that was set aside as {} is archived at {}", chain.path.name, made.uri)


def _missing(about: About) -> TemporaryError:
    return TemporaryError(
        "ArchiveMissing",
        f"leader 0 has archived nothing of the chain {about.block0_hash}, and what is here is kept until it has; see"
        " why it does not, or move the directory to where it is kept",
    )
