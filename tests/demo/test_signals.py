"""Being asked to stop."""

import asyncio
import os
import signal

import pytest
from node_fsm_sandbox.demo.signals import InterruptedBySignalError, until_signalled


async def for_ever() -> None:
    await asyncio.Event().wait()


async def seven() -> int:
    return 7


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
