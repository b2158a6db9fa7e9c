"""Being asked to stop, and work with others beside it."""

import asyncio
import os
import signal

import pytest

from node_fsm.sandbox.demo.signals import InterruptedBySignalError, alongside, until_signalled


async def for_ever() -> None:
    await asyncio.Event().wait()


async def seven() -> int:
    return 7


async def failing() -> None:
    raise ValueError("it failed")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_work_and_others_do_not_disturb_its_clearing_away(number: signal.Signals) -> None:
    cleared = []

    async def work() -> None:
        os.kill(os.getpid(), number)
        try:
            await for_ever()
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0.05)
            cleared.append(True)

    with pytest.raises(InterruptedBySignalError, match=number.name) as caught:
        asyncio.run(until_signalled(work()))
    assert caught.value.exit_code == 128 + number
    assert cleared


def test_work_that_is_left_alone_gives_its_result() -> None:
    assert asyncio.run(until_signalled(seven())) == 7


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


async def test_the_work_ends_with_the_first_of_the_others_that_fails() -> None:
    ended = []

    async def work() -> None:
        try:
            await for_ever()
        finally:
            ended.append(True)

    with pytest.raises(ValueError, match="it failed"):
        await alongside(work(), for_ever(), failing())
    assert ended


async def test_what_the_work_raises_is_raised() -> None:
    with pytest.raises(ValueError, match="it failed"):
        await alongside(failing(), for_ever())
