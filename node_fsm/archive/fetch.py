"""Getting an archive out of S3: its two objects, into a directory that ``node-fsm verify`` takes."""

import shutil
from hashlib import sha256
from pathlib import Path

from node_fsm.aio.threads import LONG, in_thread
from node_fsm.archive.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, TAR_NAME, Manifest, ManifestError
from node_fsm.archive.watched import watched
from node_fsm.core.errors import PermanentError
from node_fsm.core.progress import Progress
from node_fsm.ports import ObjectStore
from node_fsm.storage.files import new_file, on_disk, write_private
from node_fsm.storage.named_files import require_new


async def fetch_archive(
    store: ObjectStore, uri: str, directory: Path, progress: Progress, expected: str | None = None
) -> Manifest:
    """Copy the archive at *uri* into *directory*, which is made if it is not there; the manifest comes last.

    *expected* is the manifest as the database has it, None where that is not known. The tar is compared with the size
    and sha256 that the manifest says. Raises what *store* raises; PermanentError ``FileExists`` when one of the files
    is there already, ``ArchiveNotVerified`` when what comes is something else, ``NoRoomForArchive``.
    """
    text = await store.read(f"{uri}/{MANIFEST_NAME}", MAX_MANIFEST_BYTES)
    try:
        manifest = Manifest.parse(text)
    except ManifestError as error:
        raise PermanentError("ArchiveNotVerified", f"{uri}: {error}; ask for another copy of it") from error
    if expected is not None and text != expected.encode():
        raise PermanentError(
            "ArchiveNotVerified",
            f"{uri}/{MANIFEST_NAME} is another one than the table archive has; somebody changed it",
        )
    await on_disk(directory, _prepare, directory, manifest.tar.bytes)
    digest, size = sha256(), 0
    async with new_file(directory / TAR_NAME) as file:
        async for piece in watched(store.download(f"{uri}/{TAR_NAME}"), manifest.tar.bytes, progress):
            size += len(piece)
            if size > manifest.tar.bytes:
                break
            await on_disk(directory, file.write, piece)
            await in_thread(LONG, digest.update, piece)
        if (size, digest.hexdigest()) != (manifest.tar.bytes, manifest.tar.sha256):
            raise PermanentError(
                "ArchiveNotVerified",
                f"{uri}/{TAR_NAME} is not the {manifest.tar.bytes} bytes of sha256 {manifest.tar.sha256} of its"
                " manifest; ask for another copy of it",
            )
    await on_disk(directory, write_private, directory / MANIFEST_NAME, text)
    return manifest


def _prepare(directory: Path, size: int) -> None:
    """Make the directory, and see that there is room in it and nothing of these names."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in (MANIFEST_NAME, TAR_NAME):
        require_new(directory / name)
    if size > (free := shutil.disk_usage(directory).free):
        raise PermanentError(
            "NoRoomForArchive", f"the archive has {size} bytes, {directory} has room for {free}; name a roomier place"
        )
