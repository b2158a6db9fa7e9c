"""Results that stand are kept beside the chain until it is archived: a database of before forgets them."""

import json
from dataclasses import asdict

from loguru import logger

from node_fsm.aio.threads import DISK, in_thread
from node_fsm.core.errors import NOT_AS_EXPECTED, PermanentError, TemporaryError
from node_fsm.core.events import Fact
from node_fsm.core.model import PlanResult
from node_fsm.steps.agreement import noted
from node_fsm.steps.context import Context
from node_fsm.steps.put_back import put_back_if_forgotten
from node_fsm.steps.tally import read_snapshot
from node_fsm.storage.files import write_private
from node_fsm.storage.workspace import ChainDirectory

RESULTS = "results.json"
"""Beside what the node said after voting."""


async def keep_results(ctx: Context, chain: ChainDirectory) -> None:
    """Keep what stands; TemporaryError when the database has forgotten it since it was posted: it is counted again."""
    standing = await ctx.database.results(ctx.block0_in_work().hash)
    if not standing:
        raise TemporaryError("ResultsForgotten", "the database does not have the results that stood; counting again")
    if await in_thread(DISK, chain.record.exists):
        document = json.dumps([asdict(result) for result in standing], indent=1).encode()
        await in_thread(DISK, write_private, chain.record / RESULTS, document)


async def kept_results(chain: ChainDirectory) -> tuple[PlanResult, ...]:
    """What was kept, () when nothing was; PermanentError ``RecordDamaged`` when it cannot be understood."""
    file = chain.record / RESULTS
    try:
        return tuple(map(_result, json.loads(await in_thread(DISK, file.read_bytes))))
    except FileNotFoundError:
        return ()
    except NOT_AS_EXPECTED as error:
        raise PermanentError(
            "RecordDamaged", f"{file} has not the results of before ({error!r}); move it away to go on without them"
        ) from error


async def put_back_results(ctx: Context, chain: ChainDirectory) -> None:
    """Post again what was kept, with the publication if that is gone too, when nothing stands in the database."""
    work, hash_ = ctx.election_in_work(), ctx.block0_in_work().hash
    kept = await kept_results(chain)
    if not kept or await ctx.database.results(hash_):
        return
    logger.warning("the results of {} vanished from the database; they are put back", work.election_name)
    await put_back_if_forgotten(ctx, chain)
    published = await ctx.database.publication(hash_)
    plan_ids = [plan.id for plan in published.plans] if published else []
    await ctx.database.save_tally_snapshot(hash_, (await read_snapshot(chain, plan_ids)).printed)
    entry = ctx.fact(
        Fact.RESULTS_WRITTEN, work.election_id, work.election_name, f"the results of block 0 {hash_} had vanished"
    )
    untallied = sorted(set(plan_ids) - {result.plan_id for result in kept})
    await ctx.database.post_results(
        work.election_id, hash_, kept, entry, disputed=await noted(chain), untallied=untallied
    )
    ctx.database_changed()


def _result(kept: dict[str, object]) -> PlanResult:
    result = PlanResult(**kept)  # type: ignore[arg-type]  # a file of our own, looked at here
    return PlanResult(
        plan_id=str(result.plan_id),
        votes=tuple(tuple(map(int, options)) for options in result.votes),
        fragment_id=result.fragment_id,
        on_chain=bool(result.on_chain),
    )
