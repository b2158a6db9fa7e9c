"""Work on threads under cancellation."""

import asyncio
import gc
import threading
from typing import Any

from node_fsm.aio.threads import in_thread


async def test_cancellation_waits_for_the_thread_whose_error_is_then_nobodys() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def fail() -> None:
        begun.set()
        go_on.wait(10)
        ended.set()
        raise OSError("nobody waits for this any more")

    task = asyncio.create_task(in_thread(None, fail))
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    await asyncio.wait({task})
    assert task.cancelled()
    assert ended.is_set()
    del task
    gc.collect()
    assert complaints == []
