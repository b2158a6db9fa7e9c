"""Doing things at the same time, and leaving none of them behind."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar, cast

T = TypeVar("T")


async def together(*works: Coroutine[Any, Any, T]) -> list[T]:
    """What all *works* give. When some raise, the first of them, but not before all have ended."""
    results = await asyncio.gather(*works, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return cast("list[T]", results)


async def alongside(work: Coroutine[Any, Any, T], *others: Coroutine[Any, Any, None]) -> T:
    """What *work* gives while *others*, which do not end by themselves, run beside it; or what the first raises."""
    main = asyncio.create_task(work)
    tasks = [main, *map(asyncio.create_task, others)]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended - {main}:
            task.result()
        return await main
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
