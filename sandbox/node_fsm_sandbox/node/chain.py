"""The chain: a tree of blocks, the longest branch of which the ledger follows."""

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from node_fsm.chain.blocks import Block, BlockHeader, BlockVersion, read_blocks
from node_fsm.chain.errors import ChainDataError
from node_fsm.core.chain_time import BlockDate, utc_now
from node_fsm_sandbox.formats.chain import bft_block
from node_fsm_sandbox.formats.crypto import SigningKey
from node_fsm_sandbox.formats.signatures import bft_block_holds
from node_fsm_sandbox.node.errors import InvalidBlockError, RejectedError
from node_fsm_sandbox.node.ledger import Ledger
from node_fsm_sandbox.node.messages import Message, read_message
from node_fsm_sandbox.node.store import BlockStore

_CLOCK_TOLERANCE = timedelta(seconds=1)
_FIRST_CHECKPOINTS = 10


class Arrival(Enum):
    """What became of a block that came from elsewhere."""

    KNOWN = "known"
    ORPHAN = "orphan"
    """Its parent is not here: it was not kept."""
    BRANCH = "branch"
    """Kept, but its branch is not longer than the chain."""
    TIP = "tip"


@dataclass(frozen=True, slots=True)
class Turn:
    """How the chain moved on: *blocks* with their messages now follow *ancestor*; those after it before are *left*."""

    ancestor: BlockHeader
    left: bool
    blocks: tuple[tuple[BlockHeader, tuple[Message, ...]], ...]


class Chain:
    """The blocks in *store* that descend from *block0*."""

    def __init__(self, block0: Block, store: BlockStore, now: Callable[[], datetime] = utc_now) -> None:
        """Reads *block0* to its end; MalformedError or RejectedError when it cannot begin a chain."""
        self.ledger = Ledger(block0)
        self.block0 = block0.header
        self._store = store
        self.on_turn: Callable[[Turn], None] = _nobody_cares
        """Told of every change of the tip."""
        self._now = now
        self._known = {self.block0.id: self.block0}
        self._invalid: set[str] = set()
        self._main = [self.block0]
        self._marks = [self.ledger.journal.mark()]

    @property
    def tip(self) -> BlockHeader:
        return self._main[-1]

    def at(self, height: int) -> BlockHeader:
        """The block of the main chain at that height; IndexError beyond the tip."""
        return self._main[height]

    def height_of(self, block_id: str) -> int | None:
        """The height of a block on the main chain; None when it is not on it."""
        header = self._known.get(block_id)
        on_main = header is not None and header.height < len(self._main) and self._main[header.height] is header
        return header.height if header is not None and on_main else None

    def raw(self, block_id: str) -> bytes:
        """A block of any branch; KeyError."""
        return self._store.read(block_id)

    def __contains__(self, block_id: object) -> bool:
        return block_id in self._known

    def messages(self, header: BlockHeader) -> list[Message]:
        """What is in a block after block 0, of any branch."""
        block = next(read_blocks(io.BytesIO(self._store.read(header.id))))
        return [read_message(fragment) for fragment in block.fragments()]

    def checkpoints(self) -> list[str]:
        """Blocks of the main chain from the tip to block 0, ever further apart."""
        height, step, ids = self.tip.height, 1, []
        while height > 0:
            ids.append(self._main[height].id)
            height -= step
            if len(ids) >= _FIRST_CHECKPOINTS:
                step *= 2
        return [*ids, self.block0.id]

    def restore(self, header: BlockHeader) -> None:
        """Take back a block that is in the store already; those of other chains are left alone."""
        parent = self._known.get(header.parent)
        if parent is not None and header.id not in self._known:
            self._known[header.id] = header
            self._consider(header, check_signatures=False)

    def add(self, raw: bytes) -> Arrival:
        """Take a block from elsewhere; InvalidBlockError when it is none of this chain."""
        header = _read_header(raw)
        if header.id in self._known:
            return Arrival.KNOWN
        parent = self._known.get(header.parent)
        if parent is None:
            return Arrival.ORPHAN
        self._check_header(header, parent, raw)
        self._store.append(header.id, raw)
        self._known[header.id] = header
        return Arrival.TIP if self._consider(header, check_signatures=True) else Arrival.BRANCH

    def make(
        self,
        key: SigningKey,
        date: BlockDate,
        candidates: Iterable[Message],
        on_rejected: Callable[[Message, str], None],
    ) -> BlockHeader:
        """Mint the block of *date* from those of the *candidates* that fit and that the ledger takes."""
        tip, mark = self.tip, self.ledger.journal.mark()
        room = limit = self.ledger.parameters.content_max_size
        taken: list[Message] = []
        for message in candidates:
            if len(message.raw) > limit:
                on_rejected(message, f"fragment size {len(message.raw)} exceeds maximum block content size {limit}")
            elif len(message.raw) <= room:
                try:
                    self.ledger.apply(message, tip.date, date)
                except RejectedError as error:
                    on_rejected(message, str(error))
                else:
                    taken.append(message)
                    room -= len(message.raw)
        raw = bft_block(key, date, tip.height + 1, tip.id, [message.raw for message in taken])
        header = _read_header(raw)
        self._store.append(header.id, raw)
        self._known[header.id] = header
        self._main.append(header)
        self._marks.append(mark)
        self.on_turn(Turn(tip, left=False, blocks=((header, tuple(taken)),)))
        return header

    def _check_header(self, header: BlockHeader, parent: BlockHeader, raw: bytes) -> None:
        if header.height != parent.height + 1 or header.date <= parent.date:
            raise InvalidBlockError(f"block {header.id} does not follow its parent {parent.id}")
        if header.version is not BlockVersion.BFT or header.leader != self.ledger.parameters.leader_of(header.date):
            raise InvalidBlockError(f"block {header.id} is not by the leader of {header.date}")
        if not bft_block_holds(raw):
            raise InvalidBlockError(f"block {header.id} has an invalid signature")
        if header.content_size > self.ledger.parameters.content_max_size:
            raise InvalidBlockError(f"block {header.id} is too large: {header.content_size} bytes")

    def _consider(self, header: BlockHeader, *, check_signatures: bool) -> bool:
        """Make a block the tip if its branch is the longest one, is not in the future, and holds."""
        starts = self.ledger.parameters.clock.time_at(header.date)
        if header.height <= self.tip.height or starts > self._now() + _CLOCK_TOLERANCE:
            return False
        branch = self._branch(header)
        if any(block.id in self._invalid for block in branch):
            return False
        ancestor = self._main[branch[0].height - 1]
        abandoned = self._main[ancestor.height + 1 :]
        self._rewind(ancestor.height)
        applied = []
        for block in branch:
            try:
                applied.append((block, self._append(block, check_signatures=check_signatures)))
            except (RejectedError, ChainDataError):
                self._invalid.add(block.id)
                self._rewind(ancestor.height)
                for old in abandoned:
                    self._append(old, check_signatures=False)
                return False
        self.on_turn(Turn(ancestor, left=bool(abandoned), blocks=tuple(applied)))
        return True

    def _branch(self, header: BlockHeader) -> Sequence[BlockHeader]:
        """The blocks from the main chain to *header*, oldest first."""
        branch = [header]
        while self.height_of(branch[-1].parent) is None:
            branch.append(self._known[branch[-1].parent])
        return branch[::-1]

    def _rewind(self, height: int) -> None:
        if height < self.tip.height:
            self.ledger.journal.rollback(self._marks[height + 1])
            del self._main[height + 1 :]
            del self._marks[height + 1 :]

    def _append(self, header: BlockHeader, *, check_signatures: bool) -> tuple[Message, ...]:
        mark, parent = self.ledger.journal.mark(), self.tip
        try:
            messages = self.messages(header)
            for message in messages:
                self.ledger.apply(message, parent.date, header.date, check_signatures=check_signatures)
        except (RejectedError, ChainDataError):
            self.ledger.journal.rollback(mark)
            raise
        self._main.append(header)
        self._marks.append(mark)
        return tuple(messages)


def _nobody_cares(_: Turn) -> None:
    """Nothing follows the chain yet."""


def _read_header(raw: bytes) -> BlockHeader:
    """The header of a block that is whole and whose content has the hash it says; InvalidBlockError."""
    try:
        headers = [block.header for block in read_blocks(io.BytesIO(raw))]
    except ChainDataError as error:
        raise InvalidBlockError(f"not a block: {error}") from error
    if len(headers) != 1:
        raise InvalidBlockError(f"{len(headers)} blocks instead of one")
    return headers[0]
