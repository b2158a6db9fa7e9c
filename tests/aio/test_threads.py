"""Work on threads under cancellation."""

import asyncio
import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import pytest

from node_fsm.aio.threads import DISK, LONG, in_thread, to_the_end
from tests.support.polling import HANGING


@dataclass
class Work:
    """A function that takes until it is told to go on, and then fails if *error* says so."""

    error: Exception | None = None
    begun: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> str:
        self.begun.set()
        self.go_on.wait(HANGING)
        self.ended.set()
        if self.error:
            raise self.error
        return "done"

    async def until_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, HANGING)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """A single thread."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.mark.parametrize("shared", [DISK, LONG])
async def test_the_shared_threads_call_with_arguments_and_context(shared: ThreadPoolExecutor) -> None:
    election = ContextVar("election", default="none")
    election.set("fund9")
    assert await in_thread(shared, lambda *args, **kwargs: (election.get(), args, kwargs), 1, b=2) == (
        "fund9",
        (1,),
        {"b": 2},
    )


async def test_what_the_function_raises_is_raised(pool: ThreadPoolExecutor) -> None:
    work = Work(OSError("no disk"))
    work.go_on.set()
    with pytest.raises(OSError, match="no disk"):
        await in_thread(pool, work)


@pytest.mark.parametrize("error", [None, OSError("nobody waits for this any more")])
@pytest.mark.parametrize("cancellations", [1, 3])
async def test_cancellation_waits_for_the_thread_whose_end_is_then_nobodys(
    pool: ThreadPoolExecutor, error: Exception | None, cancellations: int
) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    work = Work(error)
    task = asyncio.create_task(in_thread(pool, work))
    await work.until_begun()
    for _ in range(cancellations):
        task.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done()
    work.go_on.set()
    await asyncio.wait({task})
    assert task.cancelled()
    assert work.ended.is_set()
    del task
    gc.collect()
    assert complaints == []


async def test_work_that_was_cancelled_before_its_turn_is_not_begun(pool: ThreadPoolExecutor) -> None:
    first, second = Work(), Work()
    running = asyncio.create_task(in_thread(pool, first))
    await first.until_begun()
    waiting = asyncio.create_task(in_thread(pool, second))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting}, timeout=HANGING)
    assert waiting.cancelled()
    first.go_on.set()
    assert await running == "done"
    assert not second.begun.is_set()


async def test_a_timeout_is_a_timeout_once_the_thread_has_ended(pool: ThreadPoolExecutor) -> None:
    work = Work()

    async def limited() -> None:
        async with asyncio.timeout(0.01):
            await in_thread(pool, work)

    task = asyncio.create_task(limited())
    await work.until_begun()
    await asyncio.sleep(0.05)
    assert not task.done()
    work.go_on.set()
    with pytest.raises(TimeoutError):
        await task
    assert work.ended.is_set()


async def test_a_task_is_waited_for_to_its_end_whatever_that_is() -> None:
    async def fail() -> None:
        raise ValueError("its own affair")

    task = asyncio.create_task(fail())
    await to_the_end(task)
    assert isinstance(task.exception(), ValueError)
