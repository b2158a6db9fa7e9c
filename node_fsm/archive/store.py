"""Archives: a chain's files as one ``archive.tar.zst`` in S3, and the ``manifest.json`` that makes it count.

An archive lies at ``<archive URI>/<election id>-<election name>/<block 0 hash>/<run id>/``. The manifest is written
last, once, and is the commit: a tar without one is what a crash left behind. Nothing there is ever overwritten.

The run id follows from the chain, ``<kind>-<start of the tip's hash>``, so that whoever comes back after a crash finds
what the earlier life did: a manifest that says the same of the same files is verified and taken; for anything else
(a tar without a manifest, another manifest, a damaged object) the next id is used, with ``-2``, ``-3`` at its end.

What the files say is checked before they are uploaded. Reading the objects back then shows that S3 holds these very
files, and that the manifest names the size and sha256 of each.
"""

import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from loguru import logger

from node_fsm.aio.threads import DISK, LONG, in_thread
from node_fsm.archive.check import Check, Claims, check_block0, check_chain
from node_fsm.archive.contents import files_to_archive, refuse_secrets
from node_fsm.archive.manifest import (
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    TAR_NAME,
    Election,
    FileEntry,
    Manifest,
    ManifestError,
    ResultEntry,
    Tip,
    Versions,
    results_hash,
)
from node_fsm.archive.tarball import DamagedError, Packer, measure
from node_fsm.archive.verify import check_tar
from node_fsm.core.errors import PermanentError, ServiceError
from node_fsm.core.model import ArchiveKind, PlanResult, StoredArchive
from node_fsm.ports import Clock, ObjectStore
from node_fsm.ports.object_errors import ObjectExistsError, ObjectMissingError

MAX_RUNS = 10
BROKEN_AFTER = timedelta(days=1)
"""An upload that was begun so long ago is no other node's that is still under way."""


@dataclass(frozen=True, slots=True)
class ArchiveRequest:
    """What to archive, and what its manifest says of it.

    *directory* is the chain's, and nobody writes into it any more; the fields after it are those of
    :class:`~node_fsm.archive.manifest.Manifest`. The blocks of a *kind* other than salvage must confirm them.
    """

    directory: Path
    kind: ArchiveKind
    election: Election
    block0_hash: str
    tip: Tip
    vote_plan_ids: tuple[str, ...]
    results: tuple[PlanResult, ...] | None
    untallied: str | None
    fingerprint: str | None
    versions: Versions
    notes: tuple[str, ...] = ()

    @property
    def claims(self) -> Claims:
        """What the blocks must confirm."""
        entries = None if self.results is None else tuple(ResultEntry.of(result) for result in self.results)
        return Claims(self.block0_hash, self.tip, self.vote_plan_ids, entries, self.untallied)

    def is_met_by(self, manifest: Manifest, files: tuple[FileEntry, ...]) -> bool:
        """Whether *manifest* says the same of the same files; who made it and when does not matter."""
        return (
            (manifest.kind, manifest.election.id, manifest.files) == (self.kind, self.election.id, files)
            and Claims.of(manifest) == self.claims
        )  # fmt: skip


async def archive_chain(store: ObjectStore, archive_uri: str, request: ArchiveRequest, clock: Clock) -> StoredArchive:
    """Archive a chain, or find that this is done, and verify the archive by reading it back.

    May be called again after any failure. Raises what *store* raises; PermanentError when the files are not what the
    request says of them, hold a secret key or cannot be read, or when no archive could be verified.
    """
    await _end_broken_uploads(store, archive_uri, clock)
    names = await in_thread(DISK, files_to_archive, request.directory)
    for run_id in _run_ids(request):
        uri = f"{chain_uri(archive_uri, request.election, request.block0_hash)}/{run_id}"
        text = await _read_manifest(store, uri)
        if text is None:
            if not await _store(store, uri, request, names, clock):
                continue
            text = await store.read(f"{uri}/{MANIFEST_NAME}", MAX_MANIFEST_BYTES)
        files = await in_thread(LONG, measure, request.directory, names)
        if manifest := await _verified(store, uri, text, request, files):
            return StoredArchive(
                election_id=request.election.id,
                election_name=request.election.name,
                block0_hash=request.block0_hash,
                run_id=run_id,
                kind=request.kind,
                tip_hash=request.tip.hash,
                uri=uri,
                sha256=manifest.tar.sha256,
                bytes=manifest.tar.bytes,
                manifest=text.decode(),
                verified_at=clock.now(),
            )
    raise PermanentError(
        "ArchiveNotVerified",
        f"{MAX_RUNS} archives of chain {request.block0_hash} in {archive_uri} are not what they should be;"
        " look at them with `node-fsm verify URI` and mend or empty the bucket",
    )


async def _end_broken_uploads(store: ObjectStore, archive_uri: str, clock: Clock) -> None:
    """End what uploads of killed services left, also of archives that nobody tried to make again: it takes up room.

    Where that is not possible it is for a lifecycle rule of the bucket, and no reason not to archive.
    """
    try:
        ended = await store.end_uploads(f"{archive_uri.rstrip('/')}/", clock.now() - BROKEN_AFTER)
    except ServiceError as error:
        logger.info("uploads that broke off are not looked for: {}", error)
        return
    if ended:
        logger.warning("ended {} uploads under {} that broke off", ended, archive_uri)


def _run_ids(request: ArchiveRequest) -> Iterator[str]:
    first = f"{request.kind}-{request.tip.hash[:16]}"
    yield first
    for number in range(2, MAX_RUNS + 1):
        yield f"{first}-{number}"


def chain_uri(archive_uri: str, election: Election, block0_hash: str) -> str:
    """Where the archives of a chain are, each under its run id."""
    return "/".join([archive_uri.rstrip("/"), _path(election), block0_hash])


def _path(election: Election) -> str:
    return f"{election.id}-{re.sub('[^A-Za-z0-9._-]', '_', election.name)[:100]}"


async def _read_manifest(store: ObjectStore, uri: str) -> bytes | None:
    try:
        return await store.read(f"{uri}/{MANIFEST_NAME}", MAX_MANIFEST_BYTES)
    except ObjectMissingError:
        return None


async def _store(store: ObjectStore, uri: str, request: ArchiveRequest, names: list[str], clock: Clock) -> bool:
    """Upload tar and manifest; False when a tar is there. Whose manifest there is in the end is for the caller."""
    await in_thread(LONG, refuse_secrets, request.directory, names)
    wrong = [check for check in await in_thread(LONG, _check_files, request, names) if not check.ok]
    if wrong:
        raise PermanentError(
            "ArchiveContentWrong",
            f"{request.directory} was not archived: " + "; ".join(f"{check.name}: {check.detail}" for check in wrong),
        )
    packer = Packer(request.directory, names)
    try:
        async with aclosing(_pieces(packer)) as pieces:
            await store.upload(f"{uri}/{TAR_NAME}", pieces)
    except ObjectExistsError:
        return False
    await store.write_once(f"{uri}/{MANIFEST_NAME}", _manifest(request, packer, clock).render())
    return True


def _check_files(request: ArchiveRequest, names: list[str]) -> list[Check]:
    if request.kind is ArchiveKind.SALVAGE:
        return []  # kept as it was found
    directory = request.directory
    return [
        check_block0(directory / "block0.bin", request.block0_hash),
        *check_chain(directory / "blocks.bin", request.claims),
    ]


async def _pieces(packer: Packer) -> AsyncGenerator[bytes, None]:
    with closing(packer.pieces()) as pieces:
        while (piece := await in_thread(LONG, next, pieces, None)) is not None:
            yield piece


def _manifest(request: ArchiveRequest, packer: Packer, clock: Clock) -> Manifest:
    return Manifest(
        format=1,
        kind=request.kind,
        election=request.election,
        block0_hash=request.block0_hash,
        tip=request.tip,
        vote_plan_ids=request.vote_plan_ids,
        results=request.claims.results,
        results_hash=None if request.results is None else results_hash(request.results),
        untallied=request.untallied,
        fingerprint=request.fingerprint,
        versions=request.versions,
        created_at=clock.now().isoformat(timespec="seconds"),
        tar=packer.entry,
        files=packer.files,
        notes=request.notes,
    )


async def _verified(
    store: ObjectStore, uri: str, text: bytes, request: ArchiveRequest, files: tuple[FileEntry, ...]
) -> Manifest | None:
    """The manifest, when it meets *request* and the tar is what it says; else None."""
    try:
        manifest = Manifest.parse(text)
        if not request.is_met_by(manifest, files):
            logger.info("the archive {} is of another state of the chain; making another", uri)
            return None
        await check_tar(manifest, store.download(f"{uri}/{TAR_NAME}"), copies={})
    except (ManifestError, DamagedError, ObjectMissingError) as error:
        logger.warning("the archive {} does not hold, making another: {}", uri, error)
        return None
    return manifest
