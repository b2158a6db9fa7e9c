"""A running chain that the database does not know any more: what leader 0 runs is published again, exactly as it was.

Somebody emptied the column, or the database was restored or failed over to an older copy. What publishing wrote is kept
beside the chain, since the plans' rows name proposals, and the specification is not in block 0.
"""

import json
from dataclasses import asdict
from typing import Any

from loguru import logger

from node_fsm.aio.threads import DISK, in_thread
from node_fsm.core.errors import NOT_AS_EXPECTED, PermanentError
from node_fsm.core.events import Fact
from node_fsm.core.model import Proposal, Publication, Published, VotePlan
from node_fsm.core.payload_type import PayloadType
from node_fsm.core.view import UNKNOWN
from node_fsm.steps.context import Context
from node_fsm.storage.files import write_private
from node_fsm.storage.workspace import ChainDirectory


async def keep_publication(ctx: Context, chain: ChainDirectory) -> None:
    """Keep beside *chain* what the database says of its publication, once."""
    if await in_thread(DISK, chain.publication.exists):
        return
    published = await ctx.database.publication(ctx.block0_in_work().hash)
    if published is not None:
        document = json.dumps(asdict(published), default=lambda value: value.hex()).encode()
        await in_thread(DISK, write_private, chain.publication, document)


async def put_back_if_gone(ctx: Context, chain: ChainDirectory) -> None:
    """Put back the block 0 in work when nothing stands in its row, as last read, and nothing says it was withdrawn.

    Once voting has ended, a row without a block 0 is read as that of an election that was missed.
    """
    overview, work, block0 = ctx.overview(), ctx.election_in_work(), ctx.block0_in_work()
    if overview is UNKNOWN or block0.hash in overview.withdrawn:
        return
    unpublished = [election for election in (*overview.elections, *overview.missed) if election.block0 is None]
    if any(election.id == work.election_id and not election.cancelled for election in unpublished):
        await put_back(ctx, chain)


async def put_back_if_forgotten(ctx: Context, chain: ChainDirectory) -> None:
    """As :func:`put_back_if_gone`, and also when the database knows nothing of the publication whose results come now.

    An older copy may have the row of an election that was cancelled, which is listed no more once voting has ended.
    """
    await put_back_if_gone(ctx, chain)
    if await ctx.database.publication(ctx.block0_in_work().hash) is None:
        await put_back(ctx, chain)


async def put_back(ctx: Context, chain: ChainDirectory) -> None:
    """Publish again what runs: block 0, and its plans and specification if those are gone too."""
    lease, work, block0 = ctx.publishing_lease(), ctx.election_in_work(), ctx.block0_in_work()
    published = await ctx.database.publication(block0.hash)
    if published is None:
        published = await in_thread(DISK, _kept, chain)
    logger.warning("block 0 {} of {} vanished from the database; it is put back", block0.hash, work.election_name)
    publication = Publication(
        election_id=work.election_id,
        revision=0,
        generation=lease.generation,
        published_by=ctx.settings.hostname,
        hash=block0.hash,
        size=block0.size,
        fingerprint=block0.fingerprint,
        dates=block0.dates,
        plans=published.plans,
    )
    why = f"block 0 {block0.hash} had vanished"
    entry = ctx.fact(Fact.BLOCK0_RESTORED, work.election_id, work.election_name, why)
    await ctx.database.restore_block0(publication, chain.block0, entry, published.specification)
    ctx.database_changed()


def _kept(chain: ChainDirectory) -> Published:
    try:
        document = json.loads(chain.publication.read_bytes())
        return Published(tuple(map(_plan, document["plans"])), document["specification"])
    except (OSError, *NOT_AS_EXPECTED) as error:
        raise PermanentError(
            "PublicationLost",
            f"the database has no plans of the running chain, and {chain.publication} does not say what they were"
            f" ({error!r}); restore vote_plan, vote_plan_proposal and published_specification from a backup",
        ) from None


def _plan(plan: dict[str, Any]) -> VotePlan:
    proposals = tuple(
        Proposal(proposal["id"], bytes.fromhex(proposal["external_id"]), tuple(proposal["options"]))
        for proposal in plan["proposals"]
    )
    return VotePlan(**plan | {"payload_type": PayloadType(plan["payload_type"]), "proposals": proposals})
