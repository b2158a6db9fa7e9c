"""Coroutines side by side: none is left running when another fails, and what was raised first in order is raised."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar, cast

from node_fsm.aio.processors import processors

T = TypeVar("T")
U = TypeVar("U")


async def both(first: Coroutine[Any, Any, T], second: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """What both give; what the first or else the second raises, once both have ended."""
    return cast("tuple[T, U]", tuple(await _all([first, second])))


async def side_by_side(work: Callable[[U], Coroutine[Any, Any, T]], items: Iterable[U]) -> list[T]:
    """What *work* gives for each item, in order; for as many at a time as there are cores: it runs a program."""
    at_once = asyncio.Semaphore(processors())

    async def one(item: U) -> T:
        async with at_once:
            return await work(item)

    return cast("list[T]", await _all(map(one, items)))


async def _all(works: Iterable[Coroutine[Any, Any, Any]]) -> list[Any]:
    ends = await asyncio.gather(*works, return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException):
            raise end
    return ends
