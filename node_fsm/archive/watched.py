"""Streams that tell how far they are read."""

from collections.abc import AsyncIterator
from typing import BinaryIO

from node_fsm.core.progress import Progress


class Watched:
    """A stream that tells how far it is read, every 64 KiB."""

    _STEP = 2**16

    def __init__(self, stream: BinaryIO, size: int, progress: Progress) -> None:
        self._stream = stream
        self._size = size
        self._progress = progress
        self._read = 0

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        before, self._read = self._read, self._read + len(data)
        if before // self._STEP != self._read // self._STEP or self._read == self._size:
            self._progress(self._read, self._size)
        return data


async def watched(chunks: AsyncIterator[bytes], size: int, progress: Progress) -> AsyncIterator[bytes]:
    """*chunks*, of *size* bytes in all, as they are taken."""
    done = 0
    async for chunk in chunks:
        yield chunk
        done += len(chunk)
        progress(done, size)
