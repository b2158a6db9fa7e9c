"""A final archive that the database has forgotten, restored to a copy of before: it is recorded again.

Every node may write archives, and an archive shows that it is whole, not who made it. So it counts only if it goes on
to the end of voting, has the chain that this machine has itself, where it has one, and proves its private results.
"""

import shutil
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from loguru import logger

from node_fsm.aio.deadline import deadline
from node_fsm.aio.threads import DISK, LONG, in_thread
from node_fsm.archive.check import UNCOUNTED
from node_fsm.archive.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, TAR_NAME, Election, Manifest, ManifestError
from node_fsm.archive.store import chain_uri
from node_fsm.archive.verify import tally_files, unpack_verified, verify_private
from node_fsm.core.block_date import BlockDate
from node_fsm.core.errors import ServiceError
from node_fsm.core.events import Fact
from node_fsm.core.model import ArchiveKind, PlanResult, StoredArchive
from node_fsm.ports.object_errors import STORE_UNAVAILABLE
from node_fsm.steps.adopt import open_copy
from node_fsm.steps.archive import DISPUTED, read_uncounted
from node_fsm.steps.context import Context
from node_fsm.steps.tally import VOTE_PLANS_RECORD, read_snapshot
from node_fsm.storage.block_copy import blocks_with_fragments
from node_fsm.storage.votes_cast import read_cast
from node_fsm.storage.workspace import ChainDirectory

LISTING_SECONDS = 5.0
"""Votes wait to be counted meanwhile."""

SHARE_OF_WINDOW = 0.25
LEAST_SECONDS = 60.0
"""How long they wait at most: whoever may write archives can have there be any number of them."""

_SENTENCE_CHARACTERS = 4096

_RECORDS = frozenset({f"record/{VOTE_PLANS_RECORD}", f"record/{DISPUTED}", UNCOUNTED})
"""The files from which more is recorded again than the manifest says."""


@dataclass(frozen=True, slots=True)
class _Found:
    """An archive that is believed, and what is unpacked of it."""

    uri: str
    text: bytes
    manifest: Manifest
    unpacked: ChainDirectory


async def recover_if_forgotten(ctx: Context) -> bool:
    """As :func:`recover_archive`, before votes are counted of which the database knows no results.

    An archive without all results is left: they may be counted yet. Our copy of the chain goes on to the end of voting.
    That the database was restored to a copy of before is seldom, and S3 is not needed to count: what fails there, or
    takes more than a part of the time that there is for the tally, is no news.
    """
    left = ctx.block0_in_work().dates.committee_end_time - ctx.clock.now()
    try:
        return await recover_archive(ctx, within=max(left.total_seconds() * SHARE_OF_WINDOW, LEAST_SECONDS))
    except ServiceError as error:
        logger.debug("whether there is an archive of the chain already is not known: {}", error)
        return False


async def recover_archive(ctx: Context, *, within: float | None = None) -> bool:
    """Look in S3 for a final archive of the chain in work; record its results and itself when it is whole.

    With *within* it is to be found in so many seconds, and must have all results. TemporaryError when S3 does not say
    soon whether there is one, or that time is over.
    """
    if ctx.settings.archive_uri is None:
        return False
    work, block0 = ctx.election_in_work(), ctx.block0_in_work()
    where = chain_uri(ctx.settings.archive_uri, Election(id=work.election_id, name=work.election_name), block0.hash)
    limit = (
        deadline(within, STORE_UNAVAILABLE, f"no archive under {where} could be checked") if within else nullcontext()
    )
    with TemporaryDirectory(dir=ctx.workspace.root, prefix="node-fsm-verify-") as scratch:
        async with limit:
            found = await _find(ctx, where, Path(scratch), tallied=within is not None)
        if found:
            await _record(ctx, found)
    return found is not None


async def _find(ctx: Context, where: str, scratch: Path, *, tallied: bool) -> _Found | None:
    async with deadline(LISTING_SECONDS, STORE_UNAVAILABLE, f"S3 did not list {where}"):
        listed = await ctx.store.uris(f"{where}/{ArchiveKind.FINAL}-")
    for number, manifest_uri in enumerate(listed):
        if not manifest_uri.endswith(f"/{MANIFEST_NAME}"):
            continue
        uri = manifest_uri.rpartition("/")[0]
        text = await ctx.store.read(manifest_uri, MAX_MANIFEST_BYTES)
        try:
            manifest = Manifest.parse(text)
        except ManifestError as error:
            logger.warning("the archive {} does not hold: {}", uri, error)
            continue
        found = _Found(uri, text, manifest, ChainDirectory(scratch / str(number)))
        if tallied and (manifest.results is None or manifest.untallied is not None):
            continue
        if problem := _contradiction(ctx, manifest) or await _damage(ctx, found) or await _disagreement(ctx, found):
            logger.warning("the archive {} is not believed: {}", uri, problem)
            await in_thread(DISK, shutil.rmtree, found.unpacked.path, True)
        else:
            return found
    return None


async def _record(ctx: Context, found: _Found) -> None:
    uri, manifest, unpacked, work = found.uri, found.manifest, found.unpacked, ctx.election_in_work()
    logger.warning("the archive {} is whole, and the database does not know it; it is recorded again", uri)
    blocks = await in_thread(LONG, blocks_with_fragments, unpacked.blocks)
    votes = await in_thread(LONG, read_cast, unpacked.blocks)
    await _record_end(ctx, manifest, unpacked, uri)
    made = StoredArchive(
        election_id=work.election_id,
        election_name=work.election_name,
        block0_hash=manifest.block0_hash,
        run_id=uri.rpartition("/")[2],
        kind=manifest.kind,
        tip_hash=manifest.tip.hash,
        uri=uri,
        sha256=manifest.tar.sha256,
        bytes=manifest.tar.bytes,
        manifest=found.text.decode(),
        verified_at=ctx.clock.now(),
    )
    why = f"the {made.kind} archive {uri} of block 0 {made.block0_hash} was found, and is verified"
    await ctx.database.save_archive(
        made, ctx.fact(Fact.ARCHIVE_WRITTEN, work.election_id, work.election_name, why), blocks, votes
    )
    ctx.database_changed()


def _contradiction(ctx: Context, manifest: Manifest) -> str | None:
    """Why a manifest is none of the whole chain in work, before anything is read of its archive."""
    block0 = ctx.block0_in_work()
    if manifest.kind is not ArchiveKind.FINAL or manifest.block0_hash != block0.hash:
        return f"it is a {manifest.kind} archive of block 0 {manifest.block0_hash}"
    if BlockDate.parse(manifest.tip.date) < block0.dates.vote_end:
        return f"its last block is dated {manifest.tip.date}, before the end of voting {block0.dates.vote_end}"
    return None


async def _damage(ctx: Context, found: _Found) -> str | None:
    """Check the whole archive, of which all that is needed is unpacked then; what is wrong with it."""
    manifest, directory = found.manifest, found.unpacked.path
    await in_thread(DISK, directory.mkdir)
    records, tar = _RECORDS | set(tally_files(manifest)), ctx.store.download(f"{found.uri}/{TAR_NAME}")
    for checks in (unpack_verified(found.text, tar, directory, records), verify_private(manifest, directory)):
        async for check in checks:
            if not check.ok:
                return f"{check.name}: {check.detail}"
    return None


async def _disagreement(ctx: Context, found: _Found) -> str | None:
    """Why an archive is of another chain than this machine's copy; None when there is nothing against it."""
    chain = ctx.chain()
    if not await in_thread(DISK, chain.blocks.exists):
        return None
    own, archived = await open_copy(chain), await open_copy(found.unpacked)
    last = own.first_at(ctx.block0_in_work().dates.vote_end) or own.tip  # what comes after it may be made anew
    if not archived.has_block(last.id):
        return f"it lacks block {last.id} of height {last.height}, which this machine has"
    return None


def _sentence(file: Path) -> str:
    with file.open(errors="replace") as stream:
        return stream.read(_SENTENCE_CHARACTERS)


async def _record_end(ctx: Context, manifest: Manifest, unpacked: ChainDirectory, uri: str) -> None:
    """Record what Tallying had: votes that were not counted, the node's account of the others, and the results."""
    work, hash_, names = ctx.election_in_work(), manifest.block0_hash, {file.name for file in manifest.files}
    if UNCOUNTED in names and not await ctx.database.uncounted(hash_):
        votes = read_uncounted(await in_thread(DISK, (unpacked.path / UNCOUNTED).read_bytes))
        await ctx.database.report_uncounted(work.election_id, work.election_name, hash_, ctx.settings.hostname, votes)
    if manifest.results is None:
        return
    if f"record/{VOTE_PLANS_RECORD}" in names:
        snapshot = await read_snapshot(unpacked, manifest.vote_plan_ids)
        await ctx.database.save_tally_snapshot(hash_, snapshot.printed)
    disputed = None
    if f"record/{DISPUTED}" in names:
        disputed = await in_thread(DISK, _sentence, unpacked.record / DISPUTED)
    entry = ctx.fact(
        Fact.RESULTS_WRITTEN,
        work.election_id,
        work.election_name,
        f"the results of block 0 {hash_}, found in its archive {uri}",
    )
    results = [PlanResult(of.plan_id, of.votes, of.fragment_id, of.on_chain) for of in manifest.results]
    closed = set(manifest.vote_plan_ids) - {result.plan_id for result in results}
    await ctx.database.post_results(
        work.election_id, hash_, results, entry, disputed=disputed, untallied=sorted(closed)
    )
