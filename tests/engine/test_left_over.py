"""What nobody waited for: of the driver no news, of anything else a traceback in the log."""

import asyncio
import io

import pytest
from asyncpg import ConnectionDoesNotExistError

from node_fsm.service import left_over


@pytest.mark.parametrize(
    ("error", "tracebacks"),
    [(ConnectionResetError("reset"), 0), (ConnectionDoesNotExistError("closed"), 0), (KeyError("a defect"), 1)],
)
async def test_left_over_tasks_of_the_driver_print_no_traceback(
    log: io.StringIO, error: Exception, tracebacks: int
) -> None:
    async def fail() -> None:
        raise error

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(left_over)
    task = loop.create_task(fail())
    await asyncio.wait({task})
    del task
    await asyncio.sleep(0)
    assert log.getvalue().count("Traceback") == tracebacks
    assert log.getvalue().count("never retrieved") == 1
