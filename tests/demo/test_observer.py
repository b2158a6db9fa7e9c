"""What is seen of a service that does not answer."""

import asyncio
from io import StringIO
from types import SimpleNamespace
from typing import Any, cast

import pytest
from node_fsm_sandbox.demo.display import LineDisplay, Stopwatch
from node_fsm_sandbox.demo.observer import Observer
from rich.console import Console

from tests.support.polling import HANGING


class Silent:
    """A service that gives no answer, or none yet."""

    def __init__(self, *, has_answered: bool) -> None:
        self.restarts = 0
        self.has_answered = has_answered

    async def state(self) -> None:
        return None


@pytest.mark.parametrize("has_answered", [True, False])
async def test_a_service_that_never_answered_since_its_start_is_starting(has_answered: bool) -> None:
    member = cast("Any", SimpleNamespace(hostname="leader0", service=Silent(has_answered=has_answered)))
    observer = Observer([member], LineDisplay(Console(file=StringIO()), Stopwatch()))
    looking = asyncio.create_task(observer.run())
    async with asyncio.timeout(HANGING):
        await observer.until(lambda view: view.starting is not has_answered)
    looking.cancel()
