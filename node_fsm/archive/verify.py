"""Checks of archives, in S3 or on a disk, that need nothing but the archive.

A manifest's seal shows that it was not damaged. That nobody made another one shows only by comparing it with the copy
in the table ``archive``.
"""

import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from node_fsm.aio.threads import DISK, LONG, in_thread
from node_fsm.archive.check import UNCOUNTED, Check, Claims, check_block0, check_chain, check_uncounted
from node_fsm.archive.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, TAR_NAME, FileEntry, Manifest, ManifestError
from node_fsm.archive.private_tally import VOTE_PLANS, check_private_plans
from node_fsm.archive.tarball import DamagedError, TarballCheck, measure, read_file, size_of
from node_fsm.archive.watched import watched
from node_fsm.core.errors import PermanentError, ServiceError
from node_fsm.core.model import ArchiveKind
from node_fsm.core.progress import Stages, untold
from node_fsm.ports import ObjectStore

_CHAIN_FILES = ("block0.bin", "blocks.bin")


async def verify_uri(
    store: ObjectStore, uri: str, scratch: Path, stages: Stages = untold
) -> AsyncGenerator[Check, None]:
    """Check the archive at *uri*, the place of its two objects; the chain is unpacked into *scratch* for a while.

    *stages* are told what is read and counted. Raises what *store* raises, and PermanentError when *scratch* has no
    room for the chain.
    """
    text = await store.read(f"{uri}/{MANIFEST_NAME}", MAX_MANIFEST_BYTES)
    async for check in _verify_packed(text, store.download(f"{uri}/{TAR_NAME}"), scratch, stages):
        yield check


async def verify_directory(directory: Path, scratch: Path, stages: Stages = untold) -> AsyncGenerator[Check, None]:
    """Check the archive in *directory*: its two objects, or the manifest with the files unpacked beside it, or both.

    Raises PermanentError when there is none, or *scratch* has no room for the chain.
    """
    path = directory / MANIFEST_NAME
    if size_of(path) > MAX_MANIFEST_BYTES:
        yield Check(MANIFEST_NAME, ok=False, detail=f"has more than {MAX_MANIFEST_BYTES} bytes")
        return
    text = await read_manifest(directory)
    packed = _is_there(directory / TAR_NAME)
    if packed:
        async for check in _verify_packed(text, read_tar(directory), scratch, stages):
            yield check
    if not packed or any(_is_there(directory / name) for name in _CHAIN_FILES):
        async for check in _verify_unpacked(text, directory, stages):
            yield check


async def read_manifest(directory: Path) -> bytes:
    """The manifest in a directory, of at most MAX_MANIFEST_BYTES; PermanentError."""
    path = directory / MANIFEST_NAME
    if (size := size_of(path)) > MAX_MANIFEST_BYTES:
        raise PermanentError("ArchiveNotVerified", f"{path} has more than {MAX_MANIFEST_BYTES} bytes")
    return b"".join(await in_thread(DISK, lambda: list(read_file(path, size))))


async def check_tar(manifest: Manifest, tar: AsyncIterator[bytes], copies: Mapping[str, BinaryIO]) -> None:
    """Check a whole tar.zst against *manifest*; DamagedError. Files named in *copies* are written there as well."""
    check = TarballCheck(manifest.tar, manifest.files, copies)
    async for piece in tar:
        await in_thread(LONG, check.feed, piece)
    check.finish()


async def _verify_packed(
    text: bytes, tar: AsyncIterator[bytes], scratch: Path, stages: Stages
) -> AsyncGenerator[Check, None]:
    manifest, _ = _read_manifest(text)
    with TemporaryDirectory(dir=scratch, prefix="node-fsm-verify-") as name:
        whole = True
        async for check in unpack_verified(text, tar, Path(name), tally_files(manifest) if manifest else (), stages):
            whole &= check.ok
            yield check
        if manifest and whole:
            async for check in verify_private(manifest, Path(name), stages):
                yield check


async def unpack_verified(
    text: bytes,
    tar: AsyncIterator[bytes],
    directory: Path,
    also: Collection[str] = (),
    stages: Stages = untold,
) -> AsyncGenerator[Check, None]:
    """Check a manifest and its tar; block 0 and the chain are then in *directory*, which is empty before.

    So are those of the files named in *also* that the archive has.
    """
    manifest, check = _read_manifest(text)
    yield check
    if manifest is None:
        return
    try:
        with _copies(manifest, directory, also) as copies:
            await check_tar(manifest, watched(tar, manifest.tar.bytes, stages(f"reading {TAR_NAME}")), copies)
    except DamagedError as error:
        yield Check(TAR_NAME, ok=False, detail=str(error))
        return
    yield Check(TAR_NAME, ok=True, detail=f"holds the {len(manifest.files)} files of the manifest, each whole")
    async for check in _verify_content(manifest, directory, stages):
        yield check


async def _verify_unpacked(text: bytes, directory: Path, stages: Stages) -> AsyncGenerator[Check, None]:
    manifest, check = _read_manifest(text)
    yield check
    if manifest is None:
        return
    whole, done, size = True, 0, sum(file.bytes for file in manifest.files)
    progress = stages("reading the files")
    for expected in manifest.files:
        check = await in_thread(LONG, _check_file, directory, expected)
        progress(done := done + expected.bytes, size)
        whole &= check.ok
        yield check
    if whole:
        async for check in _verify_content(manifest, directory, stages):
            whole &= check.ok
            yield check
    if whole:
        async for check in verify_private(manifest, directory, stages):
            yield check


def tally_files(manifest: Manifest) -> list[str]:
    """The files of an archive that the tallies of its private plans are checked by, beside the chain."""
    return [file.name for file in manifest.files if file.name == VOTE_PLANS or file.name.startswith("tally/")]


async def verify_private(manifest: Manifest, directory: Path, stages: Stages = untold) -> AsyncGenerator[Check, None]:
    """Check the tallies of private plans, of an archive that is whole and whose chain and files are in *directory*."""
    if manifest.kind is not ArchiveKind.SALVAGE:
        progress = stages("adding up the encrypted votes")
        checks = await in_thread(LONG, lambda: list(check_private_plans(directory, manifest, progress)))
        for check in checks:
            yield check


def _check_file(directory: Path, expected: FileEntry) -> Check:
    """Whether an unpacked file is the manifest's; one of another size is not read at all."""
    try:
        size = size_of(directory / expected.name)
        if size != expected.bytes:
            return Check(expected.name, ok=False, detail=f"has {size} bytes, the manifest says {expected.bytes}")
        (found,) = measure(directory, [expected.name])
    except ServiceError as error:
        return Check(expected.name, ok=False, detail=error.message)
    said = "is whole" if found == expected else f"is {found.bytes} bytes of sha256 {found.sha256}"
    return Check(expected.name, found == expected, said)


async def _verify_content(manifest: Manifest, directory: Path, stages: Stages) -> AsyncGenerator[Check, None]:
    """Check what the files say. Salvaged data was archived as it was found, so nothing is claimed of its blocks."""
    names = {file.name for file in manifest.files}
    if manifest.kind is not ArchiveKind.SALVAGE and (missing := [name for name in _CHAIN_FILES if name not in names]):
        for name in missing:
            yield Check(name, ok=False, detail="is not among the files of the manifest")
        return
    if manifest.kind is not ArchiveKind.SALVAGE or "block0.bin" in names:
        yield await in_thread(LONG, check_block0, directory / "block0.bin", manifest.block0_hash)
    if manifest.kind is not ArchiveKind.SALVAGE:
        claims, progress = Claims.of(manifest), stages("counting the votes in the blocks")
        for check in await in_thread(LONG, lambda: list(check_chain(directory / "blocks.bin", claims, progress))):
            yield check

    if UNCOUNTED in names:
        yield await in_thread(LONG, check_uncounted, directory / UNCOUNTED)


def _read_manifest(text: bytes) -> tuple[Manifest | None, Check]:
    try:
        manifest = Manifest.parse(text)
    except ManifestError as error:
        return None, Check(MANIFEST_NAME, ok=False, detail=str(error))
    election = manifest.election
    said = f"{manifest.kind} archive of {election.name!r} (election {election.id}), made {manifest.created_at}"
    made_by = f"{manifest.versions.jcli} {manifest.versions.jormungandr}"
    if "(sandbox" in made_by:
        said += f" on stand-ins ({made_by}): no real election"
    return manifest, Check(MANIFEST_NAME, ok=True, detail=said)


@contextmanager
def _copies(manifest: Manifest, directory: Path, also: Collection[str]) -> Iterator[dict[str, BinaryIO]]:
    """Files to copy what is looked into, and *also* these, to; PermanentError when there is no room for them."""
    wanted = [file for file in manifest.files if file.name in (*_CHAIN_FILES, UNCOUNTED, *also)]
    needed, free = sum(file.bytes for file in wanted), shutil.disk_usage(directory).free
    if needed > free:
        raise PermanentError(
            "NoRoomToVerify",
            f"the chain has {needed} bytes, {directory.parent} has room for {free}; set TMPDIR to a roomier directory",
        )
    for file in wanted:
        (directory / file.name).parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as files:
        yield {file.name: files.enter_context((directory / file.name).open("wb")) for file in wanted}


def _is_there(path: Path) -> bool:
    """Whether anything has this name, also a link that leads nowhere."""
    return path.exists() or path.is_symlink()


async def read_tar(directory: Path) -> AsyncIterator[bytes]:
    """The tar in a directory in pieces; PermanentError."""
    path = directory / TAR_NAME
    pieces = read_file(path, size_of(path))
    while (piece := await in_thread(LONG, next, pieces, None)) is not None:
        yield piece
