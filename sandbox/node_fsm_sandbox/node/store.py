"""All blocks that a node knows, on disk: one file to which they are appended in the order in which they came.

The directory is laid out like the node's own: who looks for its lock finds it at ``volatile/db``. A process that is
killed leaves at most half a block at the end, which the next one cuts off.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

from node_fsm.chain.blocks import Block, BlockHeader, read_blocks
from node_fsm.chain.errors import MalformedError, TruncatedError
from node_fsm_sandbox.node.errors import ExitCode, NodeError, system_reason

_PERMANENT = ("permanent/blocks", "permanent/chain_length")


class _Place(NamedTuple):
    offset: int
    size: int


class BlockStore:
    """Blocks by id. Only the index is in memory."""

    def __init__(self, directory: Path | None) -> None:
        """Open or make the store and take its lock; without *directory* it goes with the process. NodeError."""
        self._file: IO[bytes] = _open(directory) if directory else tempfile.TemporaryFile("a+b")  # noqa: SIM115 - kept
        self._places: dict[str, _Place] = {}
        self._end = 0

    def load(self) -> Iterator[BlockHeader]:
        """The headers of all blocks that earlier processes stored, in order; NodeError when the file is damaged."""
        self._file.seek(0)
        try:
            for block in read_blocks(self._file):
                block.skip()
                self._note(block)
                yield block.header
        except TruncatedError as error:
            self._file.truncate(error.offset)
        except MalformedError as error:
            raise _damaged("volatile store error", str(error)) from error

    def __contains__(self, block_id: object) -> bool:
        return block_id in self._places

    def read(self, block_id: str) -> bytes:
        """The whole block; KeyError when there is none."""
        place = self._places[block_id]
        return os.pread(self._file.fileno(), place.size, place.offset)

    def append(self, block_id: str, raw: bytes) -> None:
        """Keep a block; NodeError when the disk does not take it."""
        try:
            self._file.write(raw)
            self._file.flush()  # from here on it survives the process
        except OSError as error:
            raise _damaged("IO error", system_reason(error)) from error
        self._places[block_id] = _Place(self._end, len(raw))
        self._end += len(raw)

    def close(self) -> None:
        """Let go of the lock."""
        with suppress(OSError):  # a full disk was told when it refused a block
            self._file.close()

    def _note(self, block: Block) -> None:
        self._places[block.header.id] = _Place(block.offset, block.header.size)
        self._end = block.end


def _open(directory: Path) -> IO[bytes]:
    try:
        for part in ("", *_PERMANENT, "volatile"):
            (directory / part).mkdir(parents=True, exist_ok=True)
        path = directory / "volatile" / "db"
        file = path.open("a+b")
    except OSError as error:
        raise NodeError(ExitCode.FILES, "I/O Error with block storage", system_reason(error)) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise _damaged(
            "volatile store error",
            f'IO error: could not acquire lock on "{path}": '
            f'Os {{ code: {error.errno}, kind: WouldBlock, message: "{error.strerror}" }}',
        ) from error
    return file


def _damaged(*causes: str) -> NodeError:
    return NodeError(ExitCode.STORAGE, "Storage error", "database backend error", *causes)
