"""A chain that the database does not know any more: what leader 0 ran is published again, exactly as it was.

Somebody emptied the column, or the database was restored or failed over to an older copy. What publishing wrote is kept
beside the chain, since the plans' rows name proposals, and the specification is not in block 0.
"""

import json
import re
from dataclasses import asdict
from typing import Any

from loguru import logger

from node_fsm.aio.threads import DISK, LONG, in_thread
from node_fsm.chain.block0 import summarise
from node_fsm.chain.errors import ChainDataError
from node_fsm.core.current import is_going_on
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

_FINGERPRINT = re.compile(r"\d+:.+")


async def keep_publication(ctx: Context, chain: ChainDirectory) -> None:
    """Keep beside *chain* what the database says of its publication, once."""
    if await in_thread(DISK, chain.publication.exists):
        return
    block0 = ctx.block0_in_work()
    published = await ctx.database.publication(block0.hash)
    if published is not None:
        name = ctx.election_in_work().election_name
        kept = {"election": name, "fingerprint": block0.fingerprint} | asdict(published)
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

    Why that cannot be done is remembered, so that the next election is not held up by it.
    """
    overview, lease = ctx.known_overview(), ctx.publishing_lease()
    try:
        chain = await in_thread(DISK, _latest, ctx.workspace, election.id, overview)
        if chain is None:
            ctx.database_changed()
            raise TemporaryError("ElectionChanged", f"the chain of {election.name} is not here any more")
        block0 = await in_thread(LONG, _read_block0, chain, election.name, lease.generation)
        await _publish_again(ctx, chain, block0)
    except PermanentError as error:
        ctx.remember(election, overview, error)
        raise
    return block0


async def require_no_other_chain(ctx: Context, publication: Publication) -> None:
    """See that no chain of the election goes on here with another block 0: people may have voted on that.

    PermanentError ``PublicationLost`` names it: what was published with it was not kept, or it would be put back.
    """
    overview = ctx.known_overview()
    for chain in await in_thread(DISK, ctx.workspace.chains):
        is_other = chain.election_id == publication.election_id and chain.block0_hash != publication.hash
        if is_other and chain.block0_hash and is_going_on(chain, overview):
            directory = ctx.workspace.chain(chain.election_id, chain.block0_hash)
            raise _lost(f"{directory.publication} does not say what they were")


async def put_back(ctx: Context, chain: ChainDirectory) -> None:
    """Publish again what runs: block 0, and its plans and specification if those are gone too."""
    await _publish_again(ctx, chain, ctx.block0_in_work())


async def _publish_again(ctx: Context, chain: ChainDirectory, block0: Block0Ref) -> None:
    lease, work = ctx.publishing_lease(), ctx.election_in_work()
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


def _latest(workspace: Workspace, election_id: int, overview: Overview) -> ChainDirectory | None:
    """Of the chains of an election that may be put back, the one that was published last."""
    here = [
        workspace.chain(election_id, chain.block0_hash)
        for chain in workspace.chains()
        if chain.block0_hash
        and chain.election_id == election_id
        and chain.has_publication
        and is_going_on(chain, overview)
    ]
    return max(here, key=lambda chain: chain.publication.stat().st_mtime, default=None)


def _read_block0(chain: ChainDirectory, election_name: str, generation: int) -> Block0Ref:
    """What was published, by block 0 and what is kept beside it; PermanentError when that is another election's."""
    try:
        with chain.block0.open("rb") as stream:
            summary = summarise(stream)
        dates = summary.dates
    except (ChainDataError, OSError) as error:
        raise _lost(f"{chain.block0} cannot be read ({error})") from None
    if summary.hash != chain.path.name or dates is None:
        raise _lost(f"{chain.block0} is not the election's block 0 {chain.path.name}")
    kept = _document(chain)
    name, fingerprint = kept.get("election"), kept.get("fingerprint")
    if isinstance(name, str) and name != election_name:  # a restored database gives ids again
        raise PermanentError(
            "PublicationRefused",
            f"{chain.path} is the chain of {name!r}, whose id {election_name} has now; if that is not to be"
            " counted any more, move the directory to where it is kept",
        )
    if not isinstance(fingerprint, str) or not _FINGERPRINT.fullmatch(fingerprint):
        raise _lost(f"{chain.publication} has no fingerprint")
    return Block0Ref(summary.hash, summary.size, fingerprint, generation, dates)


def _kept(chain: ChainDirectory) -> Published:
    document = _document(chain)
    try:
        return Published(tuple(map(_plan, document["plans"])), document["specification"])
    except NOT_AS_EXPECTED as error:
        raise _lost(f"{chain.publication} does not say what they were ({error!r})") from None


def _document(chain: ChainDirectory) -> dict[str, Any]:
    try:
        return dict(json.loads(chain.publication.read_bytes()))
    except (OSError, *NOT_AS_EXPECTED) as error:
        raise _lost(f"{chain.publication} does not say what they were ({error!r})") from None


def _lost(why: str) -> PermanentError:
    return PermanentError(
        "PublicationLost",
        f"the database does not know the publication of a chain that was begun, and {why}; restore vote_plan,"
        " vote_plan_proposal, published_specification and election.extras from a backup",
    )


def _plan(plan: dict[str, Any]) -> VotePlan:
    proposals = tuple(
        Proposal(proposal["id"], bytes.fromhex(proposal["external_id"]), tuple(proposal["options"]))
        for proposal in plan["proposals"]
    )
    return VotePlan(**plan | {"payload_type": PayloadType(plan["payload_type"]), "proposals": proposals})
