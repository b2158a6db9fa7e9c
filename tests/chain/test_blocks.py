"""Reading streams of blocks: a recorded chain, and every way in which one can be cut or damaged."""

import io
import json
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_fsm.chain.blocks import Block, BlockVersion, read_blocks, verify_chain
from node_fsm.chain.errors import BrokenChainError, MalformedError, TruncatedError
from node_fsm.chain.fragments import Fragment, FragmentKind
from node_fsm.core.chain_time import BlockDate
from tests.chain import build
from tests.chain.helpers import DATA, refusal, stored

CHAIN = stored("blocks.b64")


def read(data: bytes) -> list[tuple[Block, list[Fragment]]]:
    """All of a verified chain."""
    return [(block, list(block.fragments())) for block in verify_chain(read_blocks(io.BytesIO(data)))]


def test_a_recorded_chain_is_read_as_the_node_told_it() -> None:
    in_blocks = {
        fragment.id: {"date": str(block.header.date), "block": block.header.id}
        for block, fragments in read(CHAIN)
        for fragment in fragments
        if block.header.height
    }
    statuses = json.loads((DATA / "statuses.json").read_text())
    assert in_blocks == {
        fragment_id: status["InABlock"] for fragment_id, status in statuses.items() if "InABlock" in status
    }


def test_headers_say_where_a_block_stands() -> None:
    blocks = [block for block, _ in read(CHAIN)]
    first, second = blocks[0].header, blocks[1].header
    assert (first.version, first.date, first.height, first.leader) == (BlockVersion.UNSIGNED, BlockDate(0, 0), 0, None)
    assert (second.version, second.date, second.height) == (BlockVersion.BFT, BlockDate(0, 1), 1)
    assert second.parent == first.id
    assert second.leader is not None
    assert [block.offset for block in blocks[1:]] == [block.end for block in blocks[:-1]]
    assert blocks[-1].end == len(CHAIN)


def test_fragments_need_not_be_asked_for() -> None:
    partly = [(block.header.id, next(block.fragments(), None)) for block in read_blocks(io.BytesIO(CHAIN))]
    whole = [(block.header.id, fragments[0] if fragments else None) for block, fragments in read(CHAIN)]
    assert partly == whole


def test_an_empty_stream_has_no_blocks() -> None:
    assert read(b"") == []


def test_a_chain_cut_short_says_where_its_last_block_begins() -> None:
    data = build.chain(
        build.block([build.initial()]), ((0, 1), [build.vote("00" * 32), build.vote("11" * 32)]), ((0, 2), [])
    )
    blocks = [block for block, _ in read(data)]
    ends = {block.end for block in blocks}
    for length in range(1, len(data)):
        if length in ends:
            assert len(read(data[:length])) < len(blocks)
            continue
        with pytest.raises(TruncatedError) as caught:
            read(data[:length])
        assert caught.value.offset == max(block.offset for block in blocks if block.offset < length)


@pytest.mark.parametrize(
    ("tail", "fault"),
    [
        (b"\x07", "unknown version 7"),
        (b"\x01\x00", "header of version 1, found version 0"),
        (b"\n", "unknown version 10"),
        (bytes(100), "follows|parent|is no block 0"),
        (build.block([]), "parent"),
    ],
)
def test_garbage_behind_a_chain_is_not_taken_for_a_cut(tail: bytes, fault: str) -> None:
    with pytest.raises((MalformedError, BrokenChainError), match=fault) as caught:
        read(CHAIN + tail)
    assert caught.value.offset in (len(CHAIN), len(CHAIN) + 1)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"\0\0", "has 2 bytes left"),
        (b"\0\0\0\x09\0\x0b", "at most 6 bytes.*one of 13"),
        (b"\0\0\0\x01\0", "at least 6 bytes"),
        (b"\0\0\0\x02\1\x0b", "zero before the fragment's tag"),
        (b"\0\0\0\x02\0\x10", "unknown fragment tag 16"),
    ],
)
def test_content_that_is_no_fragments_is_refused(content: bytes, fault: str) -> None:
    with pytest.raises(MalformedError, match=fault):
        read(build.block([content]))


def test_content_of_another_hash_is_refused() -> None:
    data = bytearray(build.block([build.initial(), build.vote("00" * 32)]))
    data[-1] ^= 1
    with pytest.raises(MalformedError, match="its header says"):
        read(bytes(data))


FIRST = build.block()


@pytest.mark.parametrize(
    ("second", "fault"),
    [
        (build.block(parent="ab" * 32, height=1, date=(0, 1)), "has the parent abab"),
        (build.block(parent=build.block_id(FIRST), height=2, date=(0, 1)), "follows a block of height 0"),
        (build.block(parent=build.block_id(FIRST), height=1), "has the date 0.0, the block before it 0.0"),
    ],
)
def test_a_block_that_does_not_follow_is_refused(second: bytes, fault: str) -> None:
    with pytest.raises(BrokenChainError, match=fault) as caught:
        read(FIRST + second)
    assert caught.value.offset == len(FIRST)


def test_a_chain_begins_with_a_block_0() -> None:
    second = build.block(parent="ab" * 32, height=1, date=(0, 1))
    with pytest.raises(BrokenChainError, match="is the first, but is no block 0"):
        read(second)


@given(st.integers(0, len(CHAIN) - 1), st.integers(1, 255))
def test_a_flipped_byte_never_goes_unnoticed_below_the_tip(position: int, flip: int) -> None:
    data = bytearray(CHAIN)
    data[position] ^= flip
    last = read(CHAIN)[-1][0]
    # The header of the last block is named by no other block: what it says of itself is all there is.
    assert refusal(read, bytes(data)) or last.offset < position


@given(st.binary(max_size=600))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    error = refusal(read, data)
    assert error is None or 0 <= error.offset <= len(data)


@given(st.binary(max_size=200))
def test_a_fragment_of_its_own_is_read_or_refused(data: bytes) -> None:
    error = refusal(Fragment.from_bytes, data)
    assert error is None or 0 <= error.offset <= len(data)


class _Generated(io.RawIOBase):
    """A block of many fragments that is never in memory as a whole."""

    def __init__(self, head: bytes, fragment: bytes, count: int) -> None:
        self._pieces = iter((head, *[fragment] * count))
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # narrower than typeshed's Buffer
        self._rest = self._rest or next(self._pieces, b"")
        piece, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)


def test_memory_does_not_grow_with_a_block() -> None:
    fragment = build.fund(*[(build.address(build.ANN), 1)] * 254)
    count = 500
    whole = build.block([fragment] * count)
    head = whole[: len(whole) - len(fragment) * count]
    stream = io.BufferedReader(_Generated(head, fragment, count))
    size = len(whole)
    del whole
    tracemalloc.start()
    try:
        kinds = {found.kind for block in read_blocks(stream) for found in block.fragments()}
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kinds == {FragmentKind.TRANSACTION}
    assert peak < size / 20


def test_a_length_of_garbage_allocates_nothing() -> None:
    data = bytearray(build.block([b"\xff\xff\xff\xf0\0\x0b"]))
    data[2:6] = b"\xff\xff\xff\xff"
    tracemalloc.start()
    try:
        with pytest.raises(TruncatedError):
            read(bytes(data))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


def test_reading_blocks_is_lazy() -> None:
    class Counting(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            given = super().read(size)
            self.given = getattr(self, "given", 0) + len(given)
            return given

    stream = Counting(CHAIN)
    blocks: Iterator[Block] = read_blocks(stream)
    first = next(blocks)
    assert stream.given == first.header.size - first.header.content_size
