"""The copy of the chain: how it follows a node, turns with it, and what it says."""

import stat
from pathlib import Path

import pytest

from node_fsm.core.chain_time import BlockDate
from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.storage.block_copy import LOST, BlockCopy, blocks_with_fragments
from tests.chain import build
from tests.support.genesis_encoder import fragment_id, public_tally_content, tally
from tests.support.main_chain import MainChain

PLAN = build.plan_content()
PLAN_ID = build.plan_id(PLAN)
BLOCK0 = build.block([build.initial(), build.token(build.ANN, 1), build.plan(PLAN)])
VOTES = [build.vote(PLAN_ID, bytes([number]) * 32) for number in range(1, 5)]


@pytest.fixture
def chain() -> MainChain:
    chain = MainChain(BLOCK0)
    for slot in range(1, 6):
        chain.append((0, slot), VOTES[slot - 1 : slot])
    return chain


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Where the copy is to be, and block 0."""
    block0 = tmp_path / "block0.bin"
    block0.write_bytes(BLOCK0)
    return tmp_path / "blocks.bin", block0


async def test_a_new_copy_follows_the_node_from_block_0_on(chain: MainChain, files: tuple[Path, Path]) -> None:
    copy = BlockCopy.open(*files)
    assert (copy.tip.height, copy.tip.id) == (0, build.block_id(BLOCK0))
    assert await copy.advance(chain)
    assert files[0].read_bytes() == chain.raw
    assert (copy.tip.id, copy.tip.height, copy.tip.date) == (chain.tip.id, 5, BlockDate(0, 5))
    assert copy.block0.id == build.block_id(BLOCK0)
    assert copy.votes == 4
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600


async def test_following_again_changes_nothing(chain: MainChain, files: tuple[Path, Path]) -> None:
    copy = BlockCopy.open(*files)
    await copy.advance(chain)
    written = files[0].stat().st_mtime_ns
    assert not await copy.advance(chain)
    assert files[0].stat().st_mtime_ns == written
    chain.append((1, 0))
    assert await copy.advance(chain)
    assert files[0].read_bytes() == chain.raw


async def test_a_long_chain_comes_in_several_answers(files: tuple[Path, Path]) -> None:
    chain = MainChain(BLOCK0)
    for slot in range(1, 252):
        chain.append((0, slot))
    copy = BlockCopy.open(*files)
    await copy.advance(chain)
    assert files[0].read_bytes() == chain.raw
    assert chain.asked == 4, "a hundred at a time, and once more to hear that there are no more"


async def test_a_later_life_goes_on_where_the_earlier_one_ended(chain: MainChain, files: tuple[Path, Path]) -> None:
    await BlockCopy.open(*files).advance(chain)
    chain.append((1, 0), VOTES[:1])
    copy = BlockCopy.open(*files)
    assert (copy.tip.height, copy.votes) == (5, 4)
    await copy.advance(chain)
    assert files[0].read_bytes() == chain.raw


@pytest.mark.parametrize("kept", [1, 100, 177, 178, 200])
async def test_half_a_block_of_a_killed_service_is_cut_off(
    chain: MainChain, files: tuple[Path, Path], kept: int
) -> None:
    *whole, last = chain.blocks[:-1]
    assert len(last) > 200
    files[0].write_bytes(b"".join(whole) + last[:kept])
    copy = BlockCopy.open(*files)
    assert files[0].read_bytes() == b"".join(whole)
    assert copy.tip.height == len(whole) - 1
    await copy.advance(chain)
    assert files[0].read_bytes() == chain.raw


@pytest.mark.parametrize("kept", [0, 1, 50, len(BLOCK0) - 1])
async def test_half_a_block_0_begins_anew(chain: MainChain, files: tuple[Path, Path], kept: int) -> None:
    files[0].write_bytes(BLOCK0[:kept])
    copy = BlockCopy.open(*files)
    assert copy.tip.height == 0
    await copy.advance(chain)
    assert files[0].read_bytes() == chain.raw
    assert BlockCopy.open(*files).tip.height == 5


@pytest.mark.parametrize("depth", [1, 2, 5])
async def test_a_reorganisation_cuts_back_to_where_both_agree(
    chain: MainChain, files: tuple[Path, Path], depth: int
) -> None:
    copy = BlockCopy.open(*files)
    await copy.advance(chain)
    chain.lose(depth)
    for slot in range(6, 6 + depth + 1):
        chain.append((0, slot), VOTES[:1] if slot == 6 and depth == 5 else ())
    assert await copy.advance(chain)
    assert files[0].read_bytes() == chain.raw
    assert copy.tip.id == chain.tip.id
    assert copy.votes == chain.raw.count(bytes.fromhex(PLAN_ID) + b"\0\1\0")
    assert [fragment_id(vote) in copy for vote in VOTES] == [vote in chain.raw for vote in VOTES]
    assert BlockCopy.open(*files).tip == copy.tip


@pytest.mark.parametrize("depth", range(1, 200, 18))
async def test_where_a_long_branch_began_is_found_in_few_steps(files: tuple[Path, Path], depth: int) -> None:
    chain = MainChain(BLOCK0)
    for slot in range(1, 201):
        chain.append((0, slot), VOTES[:1] if slot == 201 - depth else ())
    copy = BlockCopy.open(*files)
    await copy.advance(chain)
    chain.lose(depth)
    chain.append((1, 0))
    chain.asked = 0
    assert await copy.advance(chain)
    assert files[0].read_bytes() == chain.raw
    assert BlockCopy.open(*files).tip == copy.tip
    assert [fragment.raw for fragment in copy.take_lost()] == VOTES[:1]
    assert chain.asked <= 20


async def test_blocks_that_a_killed_node_lost_are_dropped_before_there_are_new_ones(
    chain: MainChain, files: tuple[Path, Path]
) -> None:
    copy = BlockCopy.open(*files)
    await copy.advance(chain)
    chain.lose(2)
    assert await copy.advance(chain)
    assert files[0].read_bytes() == chain.raw
    assert fragment_id(VOTES[3]) not in copy
    assert fragment_id(VOTES[2]) in copy


async def test_fragments_of_blocks_that_were_cut_off_are_remembered_in_the_order_of_the_chain(
    chain: MainChain, files: tuple[Path, Path]
) -> None:
    copy = BlockCopy.open(*files)
    await copy.advance(chain)
    assert (copy.take_lost(), copy.losses) == ([], 0)
    chain.lose(3)
    await copy.advance(chain)
    one, two, three, four = VOTES
    assert copy.losses == 2, "the last block had none in it"
    chain.append((1, 0), [four, three])
    await copy.advance(chain)
    chain.lose(2)
    await copy.advance(chain)
    lost = [fragment.raw for fragment in copy.take_lost()]
    assert lost == [two, four, three, three, four], "as they stood, what was lost last before what was lost earlier"
    assert copy.take_lost() == []
    assert copy.losses == 4
    assert fragment_id(one) in copy
    later = BlockCopy.open(*files)
    assert [fragment.raw for fragment in later.take_lost()] == lost, "in a later life, too"
    assert (later.take_lost(), later.losses) == ([], 0)


async def test_what_was_cut_off_is_known_though_the_service_died_as_it_was(
    chain: MainChain, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = BlockCopy.open(*files)
    await copy.advance(chain)
    chain.lose(2)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as death:
        death.setattr("node_fsm.storage.block_copy.os.truncate", die)
        with pytest.raises(KeyboardInterrupt):
            await copy.advance(chain)
    later = BlockCopy.open(*files)
    assert [fragment.raw for fragment in later.take_lost()] == VOTES[3:]
    await later.advance(chain)
    assert [fragment.raw for fragment in later.take_lost()] == VOTES[3:]
    assert files[0].read_bytes() == chain.raw


async def test_what_is_damaged_of_the_blocks_cut_off_stops_nothing(chain: MainChain, files: tuple[Path, Path]) -> None:
    copy = BlockCopy.open(*files)
    await copy.advance(chain)
    chain.lose(3)
    await copy.advance(chain)
    lost = files[0].with_name(LOST)
    lost.write_bytes(lost.read_bytes()[:-1])
    assert [fragment.raw for fragment in BlockCopy.open(*files).take_lost()] == VOTES[3:]


async def test_a_cut_survives_a_crash_right_after_it(
    chain: MainChain, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = BlockCopy.open(*files)
    await copy.advance(chain)
    chain.lose(3)
    answered = chain.next_ids

    async def crash_once_cut(block_id: str, count: int) -> list[str] | None:
        if copy.tip.height < 5 and block_id != copy.block0.id:
            raise KeyboardInterrupt
        return await answered(block_id, count)

    monkeypatch.setattr(chain, "next_ids", crash_once_cut)  # the node is lost in the middle
    with pytest.raises(KeyboardInterrupt):
        await copy.advance(chain)
    monkeypatch.setattr(chain, "next_ids", answered)
    later = BlockCopy.open(*files)
    assert later.tip.height == 2
    await later.advance(chain)
    assert files[0].read_bytes() == chain.raw


async def test_fragments_in_blocks_are_known_those_of_block_0_are_not(
    chain: MainChain, files: tuple[Path, Path]
) -> None:
    copy = BlockCopy.open(*files)
    await copy.advance(chain)
    assert all(fragment_id(vote) in copy for vote in VOTES)
    assert fragment_id(build.plan(PLAN)) not in copy
    assert "ab" * 32 not in copy


async def test_the_first_tally_of_a_plan_is_found_until_it_is_lost(files: tuple[Path, Path]) -> None:
    chain = MainChain(BLOCK0)
    first, second, foreign = (
        tally(public_tally_content(PLAN_ID), build.ANN),
        tally(public_tally_content(PLAN_ID), build.BOB),
        tally(public_tally_content("cd" * 32), build.EVE),
    )
    chain.append((1, 0), [foreign])
    chain.append((1, 2), [first])
    chain.append((1, 3), [second])
    copy = BlockCopy.open(*files)
    assert copy.tally(PLAN_ID) is None
    await copy.advance(chain)
    for opened in (copy, BlockCopy.open(*files)):
        found = opened.tally(PLAN_ID)
        assert found is not None
        assert (found[0], found[1].date) == (fragment_id(first), BlockDate(1, 2))
    assert copy.votes == 0
    chain.lose(2)
    await copy.advance(chain)
    assert copy.tally(PLAN_ID) is None


async def test_of_two_tallies_in_one_block_the_first_counts(files: tuple[Path, Path]) -> None:
    chain = MainChain(BLOCK0)
    first, second = tally(public_tally_content(PLAN_ID), build.ANN), tally(public_tally_content(PLAN_ID), build.BOB)
    chain.append((1, 0), [first, second])
    copy = BlockCopy.open(*files)
    await copy.advance(chain)
    found = copy.tally(PLAN_ID)
    assert found is not None
    assert found[0] == fragment_id(first)


async def test_the_first_block_at_a_date_or_later(files: tuple[Path, Path]) -> None:
    chain = MainChain(BLOCK0)
    for date in ((0, 3), (1, 0), (1, 5)):
        chain.append(date)
    copy = BlockCopy.open(*files)
    await copy.advance(chain)
    dates = {(0, 0): (0, 0), (0, 1): (0, 3), (0, 3): (0, 3), (0, 4): (1, 0), (1, 5): (1, 5), (1, 6): None}
    for asked, expected in dates.items():
        found = copy.first_at(BlockDate(*asked))
        assert (found and found.date) == expected


async def test_an_answer_that_does_not_come_leaves_the_copy_whole(
    chain: MainChain, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = BlockCopy.open(*files)
    answered = chain.block

    async def fail_at_the_third(block_id: str) -> bytes | None:
        if block_id == chain.ids[3]:
            raise TemporaryError("NodeUnavailable", "gone")
        return await answered(block_id)

    monkeypatch.setattr(chain, "block", fail_at_the_third)  # the node dies in the middle
    with pytest.raises(TemporaryError, match="NodeUnavailable"):
        await copy.advance(chain)
    assert files[0].read_bytes() == b"".join(chain.blocks[:3])
    monkeypatch.setattr(chain, "block", answered)
    await copy.advance(chain)
    assert files[0].read_bytes() == chain.raw


async def test_what_a_failed_write_left_behind_is_written_over(chain: MainChain, files: tuple[Path, Path]) -> None:
    copy = BlockCopy.open(*files)
    with files[0].open("ab") as stream:
        stream.write(b"half of a block, when the disk was full" * 100)
    await copy.advance(chain)
    assert files[0].read_bytes() == chain.raw


async def test_blocks_with_fragments_are_told(chain: MainChain, tmp_path: Path) -> None:
    """Block 0 and the empty block 5 are not among them, nor is one that is not whole."""
    file = tmp_path / "blocks.bin"
    file.write_bytes(chain.raw)
    assert blocks_with_fragments(file) == chain.ids[1:5]
    file.write_bytes(b"".join(chain.blocks[:5])[:-1])
    assert blocks_with_fragments(file) == chain.ids[1:4]
    file.write_bytes(b"something else" * 100)
    with pytest.raises(PermanentError, match="BlockCopyDamaged"):
        blocks_with_fragments(file)
