"""Coroutines side by side, and what becomes of the others when one fails."""

import asyncio
import os

import pytest

from node_fsm.aio.beside import both, side_by_side


async def test_as_many_as_there_are_cores_give_what_they_give_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    now = most = 0

    async def work(number: int) -> int:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01 * (7 - number))
        now -= 1
        return number

    assert await side_by_side(work, range(7)) == list(range(7))
    assert most == 3
    assert await both(work(1), asyncio.sleep(0, "two")) == (1, "two")


async def test_the_first_failure_is_raised_once_all_have_ended() -> None:
    ended = []

    async def fail(seconds: float) -> None:
        await asyncio.sleep(seconds)
        ended.append(seconds)
        raise ValueError(str(seconds))

    for works in (both(fail(0.02), fail(0.01)), side_by_side(fail, (0.02, 0.01))):
        ended.clear()
        with pytest.raises(ValueError, match=r"0\.02"):
            await works
        assert sorted(ended) == [0.01, 0.02]
