"""What waits for a block and what is known of it, through expiry, full pools and turns of the chain."""

import logging
from datetime import timedelta
from pathlib import Path

import pytest
from node_fsm_sandbox.node.mempool import Mempool
from node_fsm_sandbox.node.messages import Message
from node_fsm_sandbox.node.received import ReceivedLog

from node_fsm.chain.fragment_log import FragmentLog
from tests.sandbox_node.world import BLOCK0, START, VOTERS, World, block, date_of, header, message, vote

LATE = START + timedelta(days=1)


@pytest.fixture
def world() -> World:
    world = World()
    world.time.slot = 2
    return world


def pool_of(world: World, *, entries: int = 10, log_entries: int = 20, received: ReceivedLog | None = None) -> Mempool:
    pool = Mempool(world.chain.ledger.parameters, received, entries, log_entries, world.time)
    world.chain.on_turn = pool.follow
    return pool


def votes(count: int) -> list[Message]:
    return [message(vote(voter)) for voter in VOTERS[:count]]


def test_a_full_pool(world: World) -> None:
    pool = pool_of(world, entries=2)
    first, second, third = votes(3)
    verdict = pool.receive([first, second, third], "Rest", fail_fast=False)
    assert (verdict.accepted, verdict.rejected) == ([first.id, second.id], [(third.id, "PoolOverflow")])
    assert verdict.is_error
    assert (pool.usage, pool.size) == (1.0, len(first.raw) + len(second.raw))
    pool.reject(first, "no reason", date_of(3))
    assert (pool.usage, pool.size, pool.rejected_count) == (0.5, len(second.raw), 1)
    assert pool.receive([third], "Network", fail_fast=False).accepted == [third.id]
    assert [waiting.id for waiting in pool.candidates(LATE)] == [second.id, third.id]


def test_blocks_take_what_waits_and_turns_give_nothing_back(world: World) -> None:
    """Whose block has left the chain is unknown again, and can be posted anew."""
    pool = pool_of(world)
    mine, rivals, waiting = votes(3)
    pool.receive([mine, waiting], "Rest", fail_fast=False)
    first = block(BLOCK0, 1, [mine.raw])
    world.chain.add(first)
    assert pool.status(mine.id) == {"InABlock": {"date": "0.1", "block": header(first).id}}
    pool.reject(mine, "too late to say so", date_of(2))
    assert pool.status(mine.id) == {"InABlock": {"date": "0.1", "block": header(first).id}}
    rival = block(BLOCK0, 2, [rivals.raw])
    world.chain.add(rival)
    world.chain.add(block(rival, 3))
    assert pool.status(mine.id) is None
    assert [entry.origin for entry in pool.log()] == ["Network", "Rest"]
    assert pool.status(waiting.id) == "Pending"
    assert [left.id for left in pool.candidates(LATE)] == [waiting.id]
    assert pool.receive([mine], "Rest", fail_fast=False).accepted == [mine.id]


def test_what_waits_too_long_is_dropped(world: World) -> None:
    pool = pool_of(world)
    short = message(vote(VOTERS[0], expiry=(0, 4)))
    pool.receive([short], "Rest", fail_fast=False)
    world.chain.add(block(BLOCK0, 2))
    assert pool.status(short.id) == "Pending"
    world.time.slot = 4
    world.chain.add(block(block(BLOCK0, 2), 4))
    assert pool.status(short.id) == {"Rejected": {"reason": "fragment expired"}}
    assert list(pool.candidates(LATE)) == []


def test_candidates_end_with_the_time(world: World) -> None:
    pool = pool_of(world)
    pool.receive(votes(3), "Rest", fail_fast=False)
    tried = []
    for waiting in pool.candidates(START + timedelta(seconds=3)):
        tried.append(waiting)
        world.time.slot += 0.5
    assert len(tried) == 2


def test_the_log_forgets_the_oldest(world: World) -> None:
    pool = pool_of(world, entries=2, log_entries=3)
    for waiting in votes(4):
        pool.receive([waiting], "Rest", fail_fast=False)
        pool.reject(waiting, "no reason", date_of(2))
    assert [entry.id for entry in pool.log()] == [waiting.id for waiting in votes(4)[:0:-1]]


def test_the_persistent_log(world: World, tmp_path: Path) -> None:
    """A file for each hour; a disk that takes no more does not keep votes out."""
    directory = tmp_path / "fragments"
    pool = pool_of(world, received=ReceivedLog(directory, world.time()))
    first, second, third = votes(3)
    pool.receive([first], "Rest", fail_fast=False)
    world.time.slot += 0.5
    pool.receive([first, second], "Network", fail_fast=False)
    found = list(FragmentLog(directory).read())
    assert [(logged.time, logged.fragment.id) for logged in found] == [
        (int(START.timestamp()) + 2, first.id),
        (int(START.timestamp()) + 2, second.id),
    ]
    received = ReceivedLog(directory, START)
    received.append(third.raw, START + timedelta(hours=1))
    assert len(list(directory.iterdir())) == 2
    assert [logged.fragment.id for logged in FragmentLog(directory).read()] == [first.id, second.id, third.id]


def test_a_full_disk_keeps_no_vote_out(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    received = ReceivedLog(tmp_path, world.time())

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(received, "append", refuse)
    pool = pool_of(world, received=received)
    (cast,) = votes(1)
    with caplog.at_level(logging.ERROR):
        assert pool.receive([cast], "Rest", fail_fast=False).accepted == [cast.id]
    assert "failed to write persistent fragment log entry" in caplog.text
