"""Things done at the same time: whose end ends which."""

import asyncio

import pytest
from node_fsm_sandbox.election.concurrency import alongside, together


async def for_ever() -> None:
    await asyncio.Event().wait()


async def seven() -> int:
    return 7


async def failing() -> int:
    raise ValueError("it failed")


async def test_all_results_come_in_order() -> None:
    assert await together(seven(), asyncio.sleep(0, 8)) == [7, 8]


async def test_an_error_waits_for_the_others_to_end() -> None:
    ended = []

    async def slow() -> int:
        await asyncio.sleep(0.05)
        ended.append(True)
        return 8

    with pytest.raises(ValueError, match="it failed"):
        await together(failing(), slow())
    assert ended


async def test_others_end_with_the_work() -> None:
    ended = []

    async def other() -> None:
        try:
            await for_ever()
        finally:
            ended.append(True)

    assert await alongside(seven(), other(), other()) == 7
    # Those that had not even begun have nothing to end.
    assert len(asyncio.all_tasks()) == 1


async def fail() -> None:
    await failing()


async def test_the_work_ends_with_the_first_of_the_others_that_fails() -> None:
    ended = []

    async def work() -> None:
        try:
            await for_ever()
        finally:
            ended.append(True)

    with pytest.raises(ValueError, match="it failed"):
        await alongside(work(), for_ever(), fail())
    assert ended


async def test_what_the_work_raises_is_raised() -> None:
    with pytest.raises(ValueError, match="it failed"):
        await alongside(failing(), for_ever())
