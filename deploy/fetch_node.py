"""Fetches jcli and jormungandr out of a release archive, in the image's build.

    python3 fetch_node.py URL SHA256 DIRECTORY

URL is that of a .tar.gz, .tar.xz or .tar.bz2 in which both programs stand, in whatever folder; SHA256 is what the
archive's must be, in hex. The standard library only: this runs before anything is installed.
"""

import hashlib
import re
import shutil
import sys
import tarfile
import tempfile
import urllib.request
from pathlib import Path, PurePosixPath
from typing import IO

PROGRAMS = frozenset({"jcli", "jormungandr"})
TIMEOUT_SECONDS = 60.0


def main(url: str, sha256: str, directory: Path) -> None:
    """Put both programs into *directory*; SystemExit with a sentence when that is not possible."""
    if not url:
        sys.exit(
            "jcli and jormungandr are missing: give --build-context node=DIRECTORY with both in it, "
            "or --build-arg JORMUNGANDR_URL=... and JORMUNGANDR_SHA256=... of a release archive"
        )
    if not re.fullmatch("[0-9a-f]{64}", sha256.lower()):
        sys.exit("JORMUNGANDR_SHA256 must be the archive's SHA-256, 64 hex digits; without it nothing is fetched")
    if not url.startswith(("https://", "http://")):
        sys.exit(f"JORMUNGANDR_URL={url} is not an http or https URL")
    with tempfile.TemporaryFile() as archive:
        try:
            found = download(url, archive)
        except OSError as error:
            sys.exit(f"{url} cannot be fetched: {error}")
        if found != sha256.lower():
            sys.exit(f"{url} has the SHA-256 {found}, JORMUNGANDR_SHA256 is {sha256.lower()}")
        archive.seek(0)
        try:
            missing = PROGRAMS - unpack(archive, directory)
        except tarfile.TarError as error:
            sys.exit(f"{url} is not a tar archive: {error}")
    if missing:
        sys.exit(f"{url} has no {' and no '.join(sorted(missing))}")


def download(url: str, archive: IO[bytes]) -> str:
    """Write what *url* answers to *archive*; its SHA-256 in hex. Raises OSError."""
    digest = hashlib.sha256()
    # The checksum decides about what is fetched, whatever the scheme.
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - http or https, see main
        while piece := answer.read(2**20):
            digest.update(piece)
            archive.write(piece)
    return digest.hexdigest()


def unpack(archive: IO[bytes], directory: Path) -> set[str]:
    """Write the programs of a tar archive into *directory*, and nothing else; the names of those found."""
    found = set()
    with tarfile.open(fileobj=archive) as tar:
        for member in tar:
            name = PurePosixPath(member.name).name
            source = tar.extractfile(member) if name in PROGRAMS else None
            if source is None:  # another file, or a directory of that name
                continue
            with source, (directory / name).open("wb") as target:
                shutil.copyfileobj(source, target)
            (directory / name).chmod(0o755)
            found.add(name)
    return found


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
