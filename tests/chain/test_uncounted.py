"""Which votes a node has that the counted chain does not: in its blocks, or in its log alone."""

from pathlib import Path
from struct import pack

import pytest

from node_fsm.chain.cast import cast_key
from node_fsm.chain.certificates import decode_vote_cast
from node_fsm.chain.errors import ChainDataError
from node_fsm.chain.fragments import Fragment
from node_fsm.chain.uncounted import uncounted_votes
from tests.chain import build

PLAN = build.plan_content(start=(0, 10), end=(1, 0))
PLAN_ID = build.plan_id(PLAN)
START = 1_700_000_000
VOTING = START + 10
"""The chain's slots last a second, its epochs 60."""
TOKENS = [build.token(build.ANN, 3), build.token(build.BOB, 4)]


def vote(account: bytes, **other: int) -> bytes:
    return build.vote(PLAN_ID, account, **other)  # type: ignore[arg-type]


def key(raw: bytes) -> bytes:
    found = cast_key(decode_vote_cast(Fragment.from_bytes(raw)))
    assert found is not None
    return found


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "log").mkdir()
    return tmp_path


def lost(
    directory: Path,
    *,
    blocks: tuple[bytes, ...] = (),
    logged: dict[int, list[bytes]] | None = None,
    counted: set[bytes],
) -> list[tuple[bytes, int, bool]]:
    """Of a node with these votes in a block, and these logged, by time: the vote, its weight, whether in a block."""
    block0 = build.block([build.initial(), *TOKENS, build.plan(PLAN)])
    (directory / "blocks.bin").write_bytes(build.chain(block0, ((0, 20), blocks)))
    entries = [pack(">Q", time) + raw for time, votes in (logged or {}).items() for raw in votes]
    (directory / "log" / "2023-11-14_22.log").write_bytes(b"".join(entries))
    found = uncounted_votes(directory / "blocks.bin", directory / "log", counted)
    return [(one.vote.raw, one.weight, one.in_block) for one in found]


def test_a_key_is_of_account_plan_and_proposal_whatever_the_choice() -> None:
    keys = [key(vote(build.ANN)), key(vote(build.BOB)), key(vote(build.ANN, proposal=1)), key(build.vote("ab" * 32))]
    assert len(set(keys)) == 4
    assert key(vote(build.ANN, choice=1, counter=5)) == keys[0]


def test_what_a_block_has_and_the_counted_chain_has_not(directory: Path) -> None:
    ann, bob = vote(build.ANN), vote(build.BOB)
    assert lost(directory, blocks=(ann, bob), counted={key(bob)}) == [(ann, 3, True)]


def test_whoever_voted_otherwise_on_the_counted_chain_has_lost_nothing(directory: Path) -> None:
    assert lost(directory, blocks=(vote(build.ANN),), counted={key(vote(build.ANN, choice=2))}) == []


def test_what_came_in_time_and_is_in_no_block(directory: Path) -> None:
    in_time, early, late = vote(build.ANN), vote(build.ANN, proposal=1), vote(build.BOB)
    logged = {VOTING - 1: [early], VOTING: [in_time], START + 60: [late]}
    assert lost(directory, logged=logged, counted=set()) == [(in_time, 3, False)]


def test_one_vote_for_each_say_that_in_a_block_first(directory: Path) -> None:
    first, second = vote(build.ANN), vote(build.ANN, choice=1, counter=1)
    assert lost(directory, blocks=(first,), logged={VOTING: [first, second]}, counted=set()) == [(first, 3, True)]
    assert lost(directory, logged={VOTING: [first, second]}, counted=set()) == [(second, 3, False)]


@pytest.mark.parametrize("is_counted", [True, False])
def test_a_counter_that_was_used_again_says_that_the_vote_before_was_refused(directory: Path, is_counted: bool) -> None:
    refused, again = vote(build.ANN), vote(build.ANN, proposal=1)
    counted = {key(again)} if is_counted else set()
    expected = [] if is_counted else [(again, 3, False)]
    assert lost(directory, logged={VOTING: [refused, again]}, counted=counted) == expected


def test_what_no_chain_would_count_is_not_lost(directory: Path) -> None:
    others = (vote(build.EVE), build.vote("ab" * 32, build.ANN))
    assert lost(directory, blocks=others, logged={VOTING: list(others)}, counted=set()) == []


@pytest.mark.parametrize("data", [b"", b"something else" * 100])
def test_what_is_no_chain_is_refused(directory: Path, data: bytes) -> None:
    (directory / "blocks.bin").write_bytes(data)
    with pytest.raises(ChainDataError):
        uncounted_votes(directory / "blocks.bin", directory / "log", set())
