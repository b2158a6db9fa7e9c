"""A chain that the database does not know any more: what leader 0 ran is published again, exactly as it was.

Somebody emptied the column, or the database was restored or failed over to an older copy. What publishing wrote is kept
beside the chain, since the plans' rows name proposals, and the specification is not in block 0.
"""

import json
from dataclasses import asdict
from typing import Any

from loguru import logger

from node_fsm.aio.threads import DISK, LONG, in_thread
from node_fsm.chain.block0 import summarise
from node_fsm.chain.errors import ChainDataError
from node_fsm.core.current import may_be_put_back
from node_fsm.core.errors import NOT_AS_EXPECTED, PermanentError, TemporaryError
from node_fsm.core.events import Fact
from node_fsm.core.model import (
    Block0Ref,
    ElectionOverview,
    Overview,
    Proposal,
    Publication,
    Published,
    VotePlan,
)
from node_fsm.core.payload_type import PayloadType
from node_fsm.core.view import UNKNOWN
from node_fsm.steps.context import Context
from node_fsm.storage.files import write_private
from node_fsm.storage.workspace import ChainDirectory, Workspace

_LASTING = {"PublicationLost", "PublicationRefused"}
"""The reasons for which a block 0 is not put back before a person has mended something."""


async def keep_publication(ctx: Context, chain: ChainDirectory) -> None:
    """Keep beside *chain* what the database says of its publication, once."""
    if await in_thread(DISK, chain.publication.exists):
        return
    block0 = ctx.block0_in_work()
    published = await ctx.database.publication(block0.hash)
    if published is not None:
        kept = {"fingerprint": block0.fingerprint} | asdict(published)
        document = json.dumps(kept, default=lambda value: value.hex()).encode()
        await in_thread(DISK, write_private, chain.publication, document)


async def put_back_if_gone(ctx: Context, chain: ChainDirectory) -> None:
    """Put back the block 0 in work when nothing stands in its row, as last read, and nothing says it was withdrawn.

    Once voting has ended, a row without a block 0 is read as that of an election that was missed.
    """
    overview, work, block0 = ctx.overview(), ctx.election_in_work(), ctx.block0_in_work()
    if overview is UNKNOWN or block0.hash in overview.withdrawn:
        return
    row = overview.row(work.election_id)
    if row and row.block0 is None and not row.cancelled:
        await put_back(ctx, chain)


async def put_back_if_forgotten(ctx: Context, chain: ChainDirectory) -> None:
    """As :func:`put_back_if_gone`, and also when the database knows nothing of the publication whose results come now.

    An older copy may have the row of an election that was cancelled, which is listed no more once voting has ended.
    """
    await put_back_if_gone(ctx, chain)
    if await ctx.database.publication(ctx.block0_in_work().hash) is None:
        await put_back(ctx, chain)


async def put_back_forgotten(ctx: Context, election: ElectionOverview) -> Block0Ref:
    """Publish again what an earlier life of this service ran of an election, before its node is started again.

    What a person has to mend is remembered, so that the next election is not held up by it.
    """
    overview, lease = ctx.known_overview(), ctx.publishing_lease()
    chain = await in_thread(DISK, _latest, ctx.workspace, election.id, overview)
    if chain is None:
        ctx.database_changed()
        raise TemporaryError("ElectionChanged", f"the chain of {election.name} is not here any more")
    try:
        block0 = await in_thread(LONG, _read_block0, chain, lease.generation)
        await _publish_again(ctx, chain, block0)
    except PermanentError as error:
        if error.reason in _LASTING:
            ctx.remember(election, overview, error)
        raise
    return block0


async def put_back(ctx: Context, chain: ChainDirectory) -> None:
    """Publish again what runs: block 0, and its plans and specification if those are gone too."""
    await _publish_again(ctx, chain, ctx.block0_in_work())


async def _publish_again(ctx: Context, chain: ChainDirectory, block0: Block0Ref) -> None:
    lease, work = ctx.publishing_lease(), ctx.election_in_work()
    published = await ctx.database.publication(block0.hash)
    if published is None:
        published = (await in_thread(DISK, _kept, chain))[0]
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


def _latest(workspace: Workspace, election_id: int, overview: Overview) -> ChainDirectory | None:
    """Of the chains of an election that may be put back, the one that was published last."""
    here = [
        workspace.chain(election_id, chain.block0_hash)
        for chain in workspace.chains()
        if chain.block0_hash and chain.election_id == election_id and may_be_put_back(chain, overview)
    ]
    return max(here, key=lambda chain: chain.publication.stat().st_mtime, default=None)


def _read_block0(chain: ChainDirectory, generation: int) -> Block0Ref:
    try:
        with chain.block0.open("rb") as stream:
            summary = summarise(stream)
        dates = summary.dates
    except (ChainDataError, OSError) as error:
        raise _lost(f"{chain.block0} cannot be read ({error})") from None
    if summary.hash != chain.path.name or dates is None:
        raise _lost(f"{chain.block0} is not the election's block 0 {chain.path.name}")
    fingerprint = _kept(chain)[1]
    return Block0Ref(summary.hash, summary.size, fingerprint, generation, dates)


def _kept(chain: ChainDirectory) -> tuple[Published, str]:
    """What was published, and the fingerprint of its specification."""
    try:
        document = json.loads(chain.publication.read_bytes())
        return Published(tuple(map(_plan, document["plans"])), document["specification"]), document["fingerprint"]
    except (OSError, *NOT_AS_EXPECTED) as error:
        raise _lost(f"{chain.publication} does not say what they were ({error!r})") from None


def _lost(why: str) -> PermanentError:
    return PermanentError(
        "PublicationLost",
        f"the database has no plans of a chain that was begun, and {why}; restore vote_plan, vote_plan_proposal and"
        " published_specification from a backup",
    )


def _plan(plan: dict[str, Any]) -> VotePlan:
    proposals = tuple(
        Proposal(proposal["id"], bytes.fromhex(proposal["external_id"]), tuple(proposal["options"]))
        for proposal in plan["proposals"]
    )
    return VotePlan(**plan | {"payload_type": PayloadType(plan["payload_type"]), "proposals": proposals})
