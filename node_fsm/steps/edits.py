"""What leader 0 does about changes in the database while its chain runs.

The chain is the truth: an edited row does not stop it. It is given up only when the election was cancelled, or, in
hot-reload mode, when what is specified now can be built; block 0 is withdrawn first.
"""

import shutil

from loguru import logger

from node_fsm.aio.threads import LONG, in_thread
from node_fsm.core.conditions import ConditionType
from node_fsm.core.decide import is_cancelled
from node_fsm.core.errors import PermanentError
from node_fsm.core.events import Fact
from node_fsm.core.model import Block0Ref, ElectionOverview, Overview
from node_fsm.core.view import UNKNOWN
from node_fsm.steps.context import Context
from node_fsm.steps.publish import build_block0, build_vote_plans
from node_fsm.steps.put_back import keep_publication, put_back, put_back_if_gone
from node_fsm.storage.workspace import ChainDirectory

CANCELLED = "the election was cancelled"


class SpecificationWatch:
    """Follows one running chain's row; remembers what it has tried, so that it tries nothing twice."""

    def __init__(self, chain: ChainDirectory) -> None:
        self._chain = chain
        self._followed: Overview | None = None
        self._refused: tuple[int, str] | None = None
        """The revision whose dry build failed, and why."""

    async def follow(self, ctx: Context) -> None:
        """Act on the engine's latest reading of the row, once; does nothing while the database is away."""
        overview = ctx.overview()
        if overview is UNKNOWN or overview is self._followed:
            return
        await self._follow(ctx, overview)
        self._followed = overview

    async def _follow(self, ctx: Context, overview: Overview) -> None:
        work, block0 = ctx.election_in_work(), ctx.block0_in_work()
        if block0.hash in overview.withdrawn:
            return
        election = overview.election(work.election_id)
        if election is None:
            await put_back_if_gone(ctx, self._chain)
            return
        if election.cancelled:
            if election.block0 is None and await ctx.database.publication(block0.hash) is None:
                await put_back(ctx, self._chain)  # a database of before the publication knows nothing to withdraw
            await withdraw(ctx, election, block0, CANCELLED)
        elif election.block0 is None:
            await put_back(ctx, self._chain)
        elif election.block0.hash == block0.hash:  # else the look says so, and the chain runs on
            await keep_publication(ctx, self._chain)
            await self._follow_fingerprint(ctx, election, block0)

    async def _follow_fingerprint(self, ctx: Context, election: ElectionOverview, block0: Block0Ref) -> None:
        if election.fingerprint is None:
            return
        if not _drifted(election.fingerprint, block0.fingerprint):
            ctx.conditions.clear(ConditionType.SPEC_DRIFT)
            return
        differs = await ctx.database.drift(election.id, block0.hash)
        if not ctx.policy.hot_reload:
            ctx.conditions.raise_(
                ConditionType.SPEC_DRIFT,
                "HotReloadOff",
                f"{election.name} was edited after its block 0 was published ({differs}); the chain runs on as"
                " published: undo the edit, or end the election with `node-fsm election cancel`",
            )
            return
        if self._refused is None or self._refused[0] != election.revision:
            ctx.publishing_lease()  # a build is dear, and for nothing without the right to publish
            self._refused = await _dry_build(ctx, election)
        if self._refused is None:
            await withdraw(ctx, election, block0, f"it was edited in hot-reload mode: {differs}")
            return
        ctx.conditions.raise_(
            ConditionType.SPEC_DRIFT,
            "EditCannotBeBuilt",
            f"{election.name} was edited ({differs}), but no block 0 can be made of it, so the chain runs on as"
            f" published: {self._refused[1]}",
        )


async def withdraw(ctx: Context, election: ElectionOverview, block0: Block0Ref, why: str) -> None:
    """Withdraw a block 0, by the lease; PermanentError ``ElectionCounted`` when results of its chain stand."""
    lease = ctx.publishing_lease()
    logger.warning("block 0 {} of {} is withdrawn: {}", block0.hash, election.name, why)
    entry = ctx.fact(Fact.BLOCK0_WITHDRAWN, election.id, election.name, f"block 0 {block0.hash}: {why}")
    await ctx.database.withdraw_block0(election.id, block0.hash, lease.generation, entry)
    ctx.conditions.clear(ConditionType.SPEC_DRIFT)
    ctx.database_changed()


async def withdraw_if_cancelled(ctx: Context) -> bool:
    """Whether the chain in work is of a withdrawn block 0; one of an election cancelled in Tallying is so first."""
    work, block0, overview = ctx.election_in_work(), ctx.block0_in_work(), ctx.known_overview()
    if block0.hash in overview.withdrawn:
        return True
    election = overview.election(work.election_id)
    if election is None or not is_cancelled(block0, work, overview):
        return False
    await withdraw(ctx, election, block0, CANCELLED)
    return True


def _drifted(now: str, published: str) -> bool:
    """Whether two fingerprints of the same version differ; another version is never a change."""
    return now.partition(":")[0] == published.partition(":")[0] and now != published


async def _dry_build(ctx: Context, election: ElectionOverview) -> tuple[int, str] | None:
    """Build what is specified now and throw it away; (revision, why) when that cannot be done."""
    if election.voting_end <= ctx.clock.now():
        return election.revision, f"its voting_end {election.voting_end.isoformat()} has passed, so none could follow"
    spec = await ctx.database.specification(election.id)
    directory = await in_thread(LONG, ctx.workspace.new_draft, election.id, dry_run=True)
    try:
        await build_vote_plans(ctx, spec, directory)
        await build_block0(ctx, spec, directory, generation=0)
    except PermanentError as error:
        return election.revision, error.message
    finally:
        await in_thread(LONG, shutil.rmtree, directory.path, ignore_errors=True)
    return None
