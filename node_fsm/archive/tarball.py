"""``archive.tar.zst``: written and checked as a stream, with nothing on the disk beside the files themselves.

The tar of given files has one form only (ordinary files, in the order of the manifest, owned by root, dated 1970), so
it is not parsed when it is read: what the manifest says determines each of its bytes but the files' content, and the
first byte that differs ends the reading. So links, paths that lead elsewhere and sizes beyond the manifest's need no
rule of their own.
"""

import os
import tarfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO, cast

from zstandard import ZstdCompressor, ZstdDecompressor, ZstdError

from node_fsm.archive.manifest import TAR_NAME, FileEntry, TarEntry
from node_fsm.core.errors import PermanentError, TemporaryError

LEVEL = 1
"""Votes are mostly keys and signatures: at all levels up to 12 they shrink to 62 or 63 %, 20 times slower at 12. One
thread, because with more of them the compressor holds on to large parts of its output.
"""

_PIECE_BYTES = 2**20
_MAX_WINDOW_BYTES = 8 * 2**20
_EMPTY_FRAME = b"\x50\x2a\x4d\x18" + bytes(4)
"""A skippable frame of no content: it cannot be decompressed unless the frame before it is complete."""
_END = bytes(2 * tarfile.BLOCKSIZE)


class DamagedError(ValueError):
    """Something stored is not what the manifest says; the message names the file."""


class Packer:
    """Packs files of *directory* once; *entry* and *files* say what came of it when :meth:`pieces` has ended."""

    def __init__(self, directory: Path, names: Sequence[str]) -> None:
        self.files: tuple[FileEntry, ...] = ()
        self._directory = directory
        self._names = names
        self._bytes = 0
        self._digest = sha256()

    @property
    def entry(self) -> TarEntry:
        """The object that the pieces make."""
        return TarEntry(name=TAR_NAME, bytes=self._bytes, sha256=self._digest.hexdigest())

    def pieces(self) -> Generator[bytes, None, None]:
        """The compressed tar; PermanentError when a file cannot be read, TemporaryError when one changes meanwhile."""
        compressor = ZstdCompressor(LEVEL, write_checksum=True).compressobj()
        for data in self.tar():
            yield from self._counted(compressor.compress(data))
        yield from self._counted(compressor.flush())

    def tar(self) -> Iterator[bytes]:
        """The tar before compression."""
        for name in self._names:
            path = self._directory / name
            size = size_of(path)
            digest = sha256()
            yield _header(name, size)
            for piece in read_file(path, size):
                digest.update(piece)
                yield piece
            yield _padding(size)
            self.files += (FileEntry(name=name, bytes=size, sha256=digest.hexdigest()),)
        yield _END

    def _counted(self, piece: bytes) -> Iterator[bytes]:
        if piece:
            self._bytes += len(piece)
            self._digest.update(piece)
            yield piece


class TarballCheck:
    """Checks a compressed tar, fed piece by piece, against the *tar* and *files* of a manifest.

    The content of the files named in *copies* is written there as well. Whatever is fed, memory stays flat.
    """

    def __init__(self, tar: TarEntry, files: Sequence[FileEntry], copies: Mapping[str, BinaryIO]) -> None:
        self._expected = tar
        self._bytes = 0
        self._digest = sha256()
        self._content = _TarCheck(files, copies)
        decompressor = ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
        sink = cast("BinaryIO", self._content)  # of which only write() is used
        self._decompressor = decompressor.stream_writer(sink, closefd=False)

    def feed(self, piece: bytes) -> None:
        """Check the next *piece*; DamagedError at the first thing that differs."""
        self._bytes += len(piece)
        self._digest.update(piece)
        if self._bytes > self._expected.bytes:
            raise DamagedError(f"{TAR_NAME} is longer than the {self._expected.bytes} bytes of the manifest")
        self._decompress(piece)

    def finish(self) -> None:
        """Check that everything has come; DamagedError if not."""
        if self._bytes < self._expected.bytes:
            raise DamagedError(f"{TAR_NAME} has {self._bytes} bytes, the manifest says {self._expected.bytes}")
        if (digest := self._digest.hexdigest()) != self._expected.sha256:
            raise DamagedError(f"{TAR_NAME} has the sha256 {digest}, the manifest says {self._expected.sha256}")
        self._decompress(_EMPTY_FRAME)
        self._content.finish()

    def _decompress(self, piece: bytes) -> None:
        try:
            self._decompressor.write(piece)
        except ZstdError as error:
            raise DamagedError(f"{TAR_NAME} cannot be decompressed: {error}") from error


class _TarCheck:
    """Checks a tar against *files*; the sink of a decompressor."""

    def __init__(self, files: Sequence[FileEntry], copies: Mapping[str, BinaryIO]) -> None:
        self._segments = _segments(files, copies)
        self._segment: _Literal | _Content | None = next(self._segments)

    def write(self, data: bytes) -> int:
        rest = memoryview(data)
        while rest:
            if self._segment is None:
                raise DamagedError(f"{TAR_NAME} goes on after its end")
            rest = rest[self._segment.take(rest) :]
            self._pass_complete()
        return len(data)

    def finish(self) -> None:
        if self._segment is not None:
            raise DamagedError(f"{TAR_NAME} ends within {self._segment.name}")

    def _pass_complete(self) -> None:
        while self._segment is not None and not self._segment.missing:
            self._segment.finish()
            self._segment = next(self._segments, None)


class _Literal:
    """Bytes that follow from the manifest: a header, padding, the end."""

    def __init__(self, name: str, expected: bytes) -> None:
        self.name = name
        self._expected = memoryview(expected)

    @property
    def missing(self) -> int:
        return len(self._expected)

    def take(self, data: memoryview) -> int:
        size = min(len(data), self.missing)
        if data[:size] != self._expected[:size]:
            raise DamagedError(f"{TAR_NAME} has something else where the manifest has {self.name}")
        self._expected = self._expected[size:]
        return size

    def finish(self) -> None:
        """All of it has been compared."""


class _Content:
    """The content of a file."""

    def __init__(self, file: FileEntry, copy: BinaryIO | None) -> None:
        self.name = file.name
        self.missing = file.bytes
        self._expected = file.sha256
        self._digest = sha256()
        self._copy = copy

    def take(self, data: memoryview) -> int:
        piece = data[: self.missing]
        self._digest.update(piece)
        if self._copy:
            self._copy.write(piece)
        self.missing -= len(piece)
        return len(piece)

    def finish(self) -> None:
        if (digest := self._digest.hexdigest()) != self._expected:
            raise DamagedError(f"{self.name} has the sha256 {digest}, the manifest says {self._expected}")


def measure(directory: Path, names: Sequence[str]) -> tuple[FileEntry, ...]:
    """Size and sha256 of files of *directory*, by reading them as :class:`Packer` does."""
    packer = Packer(directory, names)
    for _ in packer.tar():
        pass
    return packer.files


def size_of(path: Path) -> int:
    """The bytes of the ordinary file *path*; PermanentError when it is none, or cannot be looked at."""
    try:
        found = path.lstat()
    except OSError as error:
        raise _unreadable(path, error) from error
    if not S_ISREG(found.st_mode):
        raise _not_ordinary(path)
    return found.st_size


def read_file(path: Path, size: int) -> Iterator[bytes]:
    """The *size* bytes of the ordinary file *path* in pieces.

    PermanentError when it is none (a link may lead anywhere, a device never end) or cannot be read, TemporaryError when
    it has become shorter or longer.
    """
    left = size
    try:
        with open(path, "rb", buffering=0, opener=_open_itself) as file:
            if not S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _not_ordinary(path)
            while piece := file.read(_PIECE_BYTES):
                left -= len(piece)
                if left < 0:
                    break
                yield piece
    except OSError as error:
        raise _unreadable(path, error) from error
    if left:
        raise TemporaryError("LocalFileChanged", f"{path} changed while it was read; trying again")


def _unreadable(path: Path, error: OSError) -> PermanentError:
    return PermanentError("LocalFileUnreadable", f"{path} cannot be read ({error.strerror}); mend it or its directory")


def _not_ordinary(path: Path) -> PermanentError:
    return PermanentError("LocalFileUnreadable", f"{path} is no ordinary file; replace it by one, or remove it")


def _open_itself(path: str, flags: int) -> int:
    """Open without following a link, and without waiting for who writes into a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _segments(files: Sequence[FileEntry], copies: Mapping[str, BinaryIO]) -> Iterator[_Literal | _Content]:
    for file in files:
        yield _Literal(f"the header of {file.name}", _header(file.name, file.bytes))
        yield _Content(file, copies.get(file.name))
        yield _Literal(f"the end of {file.name}", _padding(file.bytes))
    yield _Literal("the end of the tar", _END)


def _header(name: str, size: int) -> bytes:
    """One block: the GNU format has room in it for any size."""
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
