"""No signal is overlooked, whenever it comes: while the engine looks, while it waits, or just as it stops waiting."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node_fsm.steps.mailbox import Mailbox, Pulse
from tests.support.virtual_time import VirtualTimeLoop

PATIENCE = 1.0
"""How long those who wait here wait for a signal."""

moments = st.integers(min_value=0, max_value=12).map(lambda quarter: quarter / 4)


@dataclass
class Story:
    """What happened, in order: signals as (number, time), looks as (number, time, what was new)."""

    signals: list[tuple[int, float]] = field(default_factory=list)
    looks: list[tuple[int, float, bool]] = field(default_factory=list)

    def first_look_after(self, signal: int) -> tuple[int, float, bool]:
        return next(look for look in self.looks if look[0] > signal)


def tell(
    send: Callable[[], None],
    is_new: Callable[[], bool],
    wait: Callable[[], Awaitable[None]],
    at: list[float],
    busy: float,
) -> Story:
    """Someone looks for *busy* seconds and waits, again and again, while signals come *at* these times."""
    story, numbers = Story(), count()

    async def look() -> None:
        loop = asyncio.get_running_loop()
        while True:
            story.looks.append((next(numbers), loop.time(), is_new()))
            await asyncio.sleep(busy)
            await wait()

    def signal() -> None:
        story.signals.append((next(numbers), asyncio.get_running_loop().time()))
        send()

    async def run() -> None:
        for time in at:
            asyncio.get_running_loop().call_at(time, signal)
        task = asyncio.create_task(look())
        await asyncio.sleep(10)
        task.cancel()
        await asyncio.wait({task})

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())
    return story


@settings(max_examples=200)
@given(at=st.lists(moments, min_size=1, max_size=5), busy=st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_the_engine_looks_after_every_signal_as_soon_as_it_can(at: list[float], busy: float) -> None:
    mailbox = Mailbox()
    story = tell(mailbox.look_again, lambda: False, lambda: mailbox.wait(PATIENCE), at, busy)
    assert len(story.signals) == len(at)
    for number, time in story.signals:
        assert story.first_look_after(number)[1] <= time + busy


@settings(max_examples=200)
@given(at=st.lists(moments, min_size=1, max_size=5), busy=st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_the_first_look_after_a_change_of_the_database_knows_of_it(at: list[float], busy: float) -> None:
    mailbox = Mailbox()
    assert mailbox.take_database_change(), "nothing has been read yet"
    story = tell(mailbox.database_changed, mailbox.take_database_change, lambda: mailbox.wait(PATIENCE), at, busy)
    for number, time in story.signals:
        _, looked, knew = story.first_look_after(number)
        assert looked <= time + busy
        assert knew
    assert sum(knew for *_, knew in story.looks) <= len(at), "taken once"


@settings(max_examples=200)
@given(at=st.lists(moments, min_size=1, max_size=5), busy=st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_work_goes_on_after_every_beat_also_one_that_it_was_too_busy_for(at: list[float], busy: float) -> None:
    pulse = Pulse()
    story = tell(pulse.beat, lambda: False, lambda: pulse.next(PATIENCE), at, busy)
    for number, time in story.signals:
        assert story.first_look_after(number)[1] <= time + busy


@pytest.mark.parametrize(("first", "second"), list(product(range(8), repeat=2)))
def test_two_signals_at_any_two_steps_of_the_loop(first: int, second: int) -> None:
    """Every interleaving of the engine's steps with two signals, without time passing."""
    mailbox = Mailbox()
    seen: list[bool] = []

    async def engine() -> None:
        mailbox.take_database_change()
        while True:
            await asyncio.sleep(0)
            await mailbox.wait(PATIENCE)
            await asyncio.sleep(0)
            seen.append(mailbox.take_database_change())

    async def run() -> float:
        task = asyncio.create_task(engine())
        for step in range(20):
            await asyncio.sleep(0)
            for moment in (first, second):
                if step == moment:
                    seen.clear()
                    mailbox.database_changed()
        task.cancel()
        await asyncio.wait({task})
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(run()) == 0
    assert any(seen)


async def test_without_a_signal_it_waits_as_long_as_it_is_told() -> None:
    loop = asyncio.get_running_loop()
    for wait in (Mailbox().wait, Pulse().next):
        before = loop.time()
        await wait(2.5)
        assert loop.time() - before == 2.5


async def test_a_time_that_has_passed_is_no_wait() -> None:
    before = asyncio.get_running_loop().time()
    await Mailbox().wait(-3)
    assert asyncio.get_running_loop().time() == before


async def test_many_signals_end_one_wait() -> None:
    mailbox, loop = Mailbox(), asyncio.get_running_loop()
    for _ in range(100):
        mailbox.look_again()
    await mailbox.wait(PATIENCE)
    before = loop.time()
    await mailbox.wait(PATIENCE)
    assert loop.time() - before == PATIENCE
