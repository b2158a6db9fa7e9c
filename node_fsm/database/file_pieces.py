"""Files in pieces, read and written on threads."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from node_fsm.aio.threads import DISK, in_thread
from node_fsm.core.errors import TemporaryError
from node_fsm.storage.files import NewFile

T = TypeVar("T")

PIECE_SIZE = 3 * 2**18
"""Bytes, a multiple of 3: the base64 of such pieces joins to the base64 of the whole."""


async def read_pieces(source: Path) -> AsyncIterator[tuple[int, bytes]]:
    """The file's pieces with their numbers; TemporaryError ``FileFailed`` when it cannot be read."""
    with await _do(source, lambda: source.open("rb")) as stream:
        number = 0
        while piece := await _do(source, partial(stream.read, PIECE_SIZE)):
            yield number, piece
            number += 1


@asynccontextmanager
async def written(target: Path) -> AsyncIterator[Callable[[bytes], Awaitable[int]]]:
    """Write *target* with the function this gives: on disk under its name at the end, or not at all; mode 0600.

    TemporaryError ``FileFailed`` when it cannot be written.
    """
    new = await _do(target, partial(NewFile, target))
    try:
        yield lambda piece: _do(target, partial(new.write, piece))
        await _do(target, new.put_in_place)
    finally:
        new.discard()


async def _do(file: Path, function: Callable[[], T]) -> T:
    try:
        return await in_thread(DISK, function)
    except OSError as error:
        raise TemporaryError("FileFailed", f"{file}: {error.strerror}") from error
