"""What the copy of the chain does not take: other chains, damage, and a node's garbage."""

from pathlib import Path

import pytest

from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.storage.block_copy import BlockCopy
from tests.chain import build
from tests.support.main_chain import MainChain

BLOCK0 = build.block([build.initial()])
OTHER_BLOCK0 = build.block([build.initial(change={4: b"\0\0\0\x09"})])


@pytest.fixture
def chain() -> MainChain:
    chain = MainChain(BLOCK0)
    for slot in range(1, 4):
        chain.append((0, slot))
    return chain


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    block0 = tmp_path / "block0.bin"
    block0.write_bytes(BLOCK0)
    return tmp_path / "blocks.bin", block0


def damage(data: bytes) -> dict[str, bytes]:
    return {
        "no block": b"\x07" * 500,
        "a flipped bit": data[: len(BLOCK0) + 99] + bytes([data[len(BLOCK0) + 99] ^ 1]) + data[len(BLOCK0) + 100 :],
        "zeros behind it": data + bytes(400),
        "a block left out": MainChain(BLOCK0).raw + data[len(BLOCK0) + 178 :],
        "another block 0": OTHER_BLOCK0,
        "another chain": OTHER_BLOCK0 + data[len(BLOCK0) :],
        "no block 0": data[len(BLOCK0) :],
    }


@pytest.mark.parametrize("what", list(damage(BLOCK0 + bytes(600))))
async def test_a_damaged_copy_is_refused_and_kept(chain: MainChain, files: tuple[Path, Path], what: str) -> None:
    damaged = damage(chain.raw)[what]
    files[0].write_bytes(damaged)
    with pytest.raises(PermanentError) as refusal:
        BlockCopy.open(*files)
    assert refusal.value.reason == "BlockCopyDamaged"
    assert str(files[0]) in refusal.value.message
    assert "move it away" in refusal.value.message
    assert files[0].read_bytes() == damaged, "it is evidence"


async def test_a_last_block_that_is_not_the_nodes_is_copied_anew(chain: MainChain, files: tuple[Path, Path]) -> None:
    files[0].write_bytes(chain.raw[:-1] + b"!")  # in the signature, which only the node can judge
    copy = BlockCopy.open(*files)
    await copy.advance(chain)
    assert files[0].read_bytes() == chain.raw


async def test_a_node_of_another_chain_cuts_nothing_off(chain: MainChain, files: tuple[Path, Path]) -> None:
    copy = BlockCopy.open(*files)
    await copy.advance(chain)
    with pytest.raises(PermanentError) as refusal:
        await copy.advance(MainChain(OTHER_BLOCK0))
    assert refusal.value.reason == "OtherChain"
    assert copy.block0.id in refusal.value.message
    assert files[0].read_bytes() == chain.raw
    assert not await copy.advance(chain)


GARBAGE = {
    "nothing": b"",
    "noise": b"\x05noise",
    "half a block": build.block(parent=build.block_id(BLOCK0), height=1, date=(0, 1))[:100],
    "two blocks": build.chain(BLOCK0, ((0, 1), []))[len(BLOCK0) :] * 2,
    "a damaged block": build.block([build.initial()], parent=build.block_id(BLOCK0), height=1, date=(0, 1))[:-1] + b"!",
    "another block": build.block(parent=build.block_id(BLOCK0), height=1, date=(0, 9)),
    "a block of another parent": build.block(parent="ab" * 32, height=2, date=(0, 2)),
}


@pytest.mark.parametrize("what", list(GARBAGE))
async def test_garbage_from_the_node_is_not_copied(chain: MainChain, files: tuple[Path, Path], what: str) -> None:
    copy = BlockCopy.open(*files)
    honest = dict(chain.known)
    chain.known[chain.ids[2]] = GARBAGE[what]
    with pytest.raises(TemporaryError):
        await copy.advance(chain)
    assert files[0].read_bytes() == b"".join(chain.blocks[:2])
    chain.known = honest
    await copy.advance(chain)
    assert files[0].read_bytes() == chain.raw


async def test_a_block_that_the_node_no_longer_has_is_asked_for_again(
    chain: MainChain, files: tuple[Path, Path]
) -> None:
    copy = BlockCopy.open(*files)
    gone = chain.known.pop(chain.ids[1])
    with pytest.raises(TemporaryError, match="BlockGone"):
        await copy.advance(chain)
    chain.known[chain.ids[1]] = gone
    await copy.advance(chain)
    assert files[0].read_bytes() == chain.raw


async def test_a_chain_that_turns_between_two_questions(
    chain: MainChain, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = BlockCopy.open(*files)
    await copy.advance(chain)
    tip = chain.tip
    other = MainChain(BLOCK0)
    for slot in range(1, 5):
        other.append((0, slot if slot < 3 else slot + 4))
    chain.known |= other.known

    async def ids_of_the_other(block_id: str, count: int) -> list[str] | None:
        return other.ids[3:] if block_id == tip.id else await other.next_ids(block_id, count)

    monkeypatch.setattr(chain, "next_ids", ids_of_the_other)  # it turns right after it was asked
    with pytest.raises(TemporaryError, match="ChainTurned"):
        await copy.advance(chain)
    assert copy.tip.id == tip.id
    monkeypatch.setattr(chain, "next_ids", other.next_ids)
    await copy.advance(chain)
    assert files[0].read_bytes() == other.raw


async def test_a_node_that_repeats_itself_ends_the_copying(
    chain: MainChain, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = BlockCopy.open(*files)
    await copy.advance(chain)

    async def the_same(block_id: str, count: int) -> list[str] | None:
        return [chain.tip.id]

    monkeypatch.setattr(chain, "next_ids", the_same)
    assert not await copy.advance(chain)
