"""Reset: nothing of a finished chain stays in the working directory."""

from datetime import datetime

from loguru import logger

from node_fsm.aio.threads import DISK, LONG, in_thread
from node_fsm.core.conditions import ConditionType
from node_fsm.core.current import current, with_what_is_here
from node_fsm.core.decide import is_leftover
from node_fsm.core.errors import PermanentError
from node_fsm.core.events import Event
from node_fsm.core.model import ArchiveKind, Overview
from node_fsm.core.phases import Phase
from node_fsm.core.view import Decision, LocalChain
from node_fsm.steps.archive import About
from node_fsm.steps.context import Context
from node_fsm.steps.given_up import is_owed, is_settled, record_given_up
from states.base import PhaseState


class Reset(PhaseState):
    """Only what archives hold block by block, or what no node ever ran on, is deleted; the rest is set aside."""

    phase = Phase.RESET
    conditions = frozenset({ConditionType.TALLY_WINDOW_MISSED, ConditionType.KEY_NOT_IN_CHAIN})

    async def run(self, ctx: Context) -> Decision:
        """Clear the local data of elections that are over, of block 0s that were given up, and drafts."""
        overview, now = ctx.known_overview(), ctx.clock.now()
        chains = await in_thread(DISK, ctx.workspace.chains)
        overview = with_what_is_here(overview, chains, ctx.policy)  # as of now, since it is deleted by it
        election = current(overview, now, ctx.policy, ctx.unbuildable(overview))
        deleted, kept = [], []
        for chain in chains:
            if not is_leftover(chain, election, overview, now, ctx.policy):
                continue
            if chain.has_blocks and not await _is_settled(ctx, chain, overview):
                kept.append(await in_thread(LONG, _set_aside, ctx, chain, overview, now))
                logger.warning("no archive has all votes of {} yet: set aside as {}", chain.block0_hash, kept[-1])
            else:
                await in_thread(LONG, ctx.workspace.remove, chain)
                deleted.append(chain.block0_hash or f"the draft of election {chain.election_id}")
        ctx.signing_key = None
        what = [f"deleted {', '.join(deleted)}"] if deleted else []
        what += [f"set aside {', '.join(kept)}"] if kept else []
        return Decision(Event.LOCAL_DATA_RESET, "; ".join(what) or "there was nothing left to delete")


async def _is_settled(ctx: Context, local: LocalChain, overview: Overview) -> bool:
    """Whether no vote is lost with what is here; not, when that cannot be told."""
    assert local.block0_hash is not None, "only a chain has blocks"
    chain = ctx.workspace.chain(local.election_id, local.block0_hash)
    try:
        standing, withdrawn = await ctx.database.archive(local.block0_hash), local.block0_hash in overview.withdrawn
        if withdrawn and standing is None and await is_owed(ctx, chain, ArchiveKind.SUPERSEDED):
            return False  # it was killed before it made that archive
        if not await is_settled(ctx, chain, local.block0_hash, standing, withdrawn=withdrawn):
            return False
        await record_given_up(ctx, chain, standing)
        return True
    except PermanentError as error:
        logger.warning("what stands in the chain {} cannot be told: {}", local.block0_hash, error)
        return False


def _set_aside(ctx: Context, chain: LocalChain, overview: Overview, now: datetime) -> str:
    """Move a chain out of the way, saying in it whose it is; the name that it has then."""
    _note(ctx, chain, overview)
    return ctx.workspace.set_aside(chain, now).name


def _note(ctx: Context, local: LocalChain, overview: Overview) -> None:
    """Leave in the directory whose chain it is, so that it can be archived later."""
    assert local.block0_hash is not None, "only a chain has blocks"
    chain = ctx.workspace.chain(local.election_id, local.block0_hash)
    if About.read(chain) is None:
        known = overview.election(local.election_id)
        kind = ArchiveKind.SUPERSEDED if local.block0_hash in overview.withdrawn else ArchiveKind.SALVAGE
        name = known.name if known else "unknown"
        try:
            About(local.election_id, name, local.block0_hash, kind, fingerprint=None).write(chain)
        except OSError as error:  # a full disk does not keep a chain from being set aside
            logger.warning("{} does not say whose chain it is: {}", chain.path, error)
