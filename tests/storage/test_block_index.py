"""The index of the copied blocks says what a plain list of them would, in few bytes."""

import tracemalloc
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_fsm.core.block_date import BlockDate
from node_fsm.storage.block_index import BlockContent, BlockIndex, CopiedBlock, FragmentSet


def id_of(name: object) -> str:
    return blake2b(repr(name).encode(), digest_size=32).hexdigest()


def content_of(height: int, fragments: int) -> BlockContent:
    ids = [id_of((height, number)) for number in range(fragments)]
    return BlockContent(ids, votes=fragments, tallies=[("plan", ids[0])] if fragments % 3 == 1 else [])


@given(st.lists(st.one_of(st.just(-1), st.integers(0, 5)), max_size=40))
def test_it_says_what_the_blocks_do(steps: list[int]) -> None:
    """A step adds a block with so many fragments, or takes one away."""
    index = BlockIndex()
    blocks: list[tuple[CopiedBlock, BlockContent]] = []
    for number, step in enumerate(steps):
        if step < 0 and blocks:
            index.drop_last(blocks.pop()[1])
        elif step >= 0:
            height = len(blocks)
            block = CopiedBlock(id_of((height, number)), BlockDate(height // 4, 2 * (height % 4)), height, 100 * number)
            blocks.append((block, content_of(height, step)))
            index.append(*blocks[-1])
    assert [index[height] for height in range(len(index))] == [block for block, _ in blocks]
    assert index.votes == sum(content.votes for _, content in blocks)
    held = {fragment for _, content in blocks for fragment in content.fragments}
    for height in range(len(steps)):
        assert all((id_of((height, number)) in index) == (id_of((height, number)) in held) for number in range(5))
    tallies = [(fragment, block) for block, content in blocks for _, fragment in content.tallies]
    assert index.tally("plan") == (tallies[0] if tallies else None)
    for asked in (BlockDate(0, 0), BlockDate(0, 3), BlockDate(1, 0), BlockDate(3, 7), BlockDate(99, 0)):
        assert index.first_at(asked) == next((block for block, _ in blocks if block.date >= asked), None)
    for number in range(len(steps)):
        id_ = id_of((number, number))
        assert index.has_block(id_) == any(block.id == id_ for block, _ in blocks)


def test_an_id_is_not_found_across_two_entries() -> None:
    index = BlockIndex()
    for height in range(2):
        index.append(CopiedBlock(f"{height:02x}" * 32, BlockDate(0, height), height, height), BlockContent())
    assert index.has_block("00" * 32)
    assert not index.has_block("00" * 16 + "01" * 16)


@pytest.mark.parametrize("strange", [None, 7, b"bytes", ("00" * 32,)])
def test_what_is_no_id_is_not_in_it(strange: object) -> None:
    assert strange not in BlockIndex()


def test_a_fragment_takes_less_than_40_bytes() -> None:
    count = 50_000
    ids = [id_of(number) for number in range(count)]
    fragments = FragmentSet()
    tracemalloc.start()
    try:
        fragments.add(ids)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken / count < 40
    assert all(fragment in fragments for fragment in ids[::100])
