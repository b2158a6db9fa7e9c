"""What goes wrong at a call to the outside: refused, slow, hung, done but unacknowledged, or the caller's end."""

import asyncio
import inspect
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from node_fsm.core.errors import PermanentError, ServiceError, TemporaryError
from tests.simulation.loop import Process, present

CONNECT_SECONDS = 1.0
"""After so long a call to a place that is not reached fails."""

LONGEST_HANG = 60.0


class Port(NamedTuple):
    """A port of one host: how it fails, and whether it is reached now."""

    name: str
    away: TemporaryError
    is_reached: Callable[[], bool]


@dataclass
class Faults:
    """Draws them from *random*. *rate* is the part of calls that go wrong; *deadly* the part of these that kill."""

    random: Random
    rate: float = 0.0
    deadly: float = 0.0
    injected: Counter[str] = field(default_factory=Counter)
    """By port, method and kind."""

    def draw(self, port: str, method: str) -> str | None:
        """What goes wrong with this call, if anything."""
        if not self.rate or self.random.random() >= self.rate:
            return None
        kinds = ("killed before", "killed after") if self.random.random() < self.deadly else _HARMLESS
        kind = self.random.choice(kinds)
        self.injected[f"{port}.{method} {kind}"] += 1
        return kind

    def at_a_thread(self) -> None:
        """Now and then a service is killed between two pieces of its own work, or its disk refuses one."""
        process = present()
        if process is None or not self.rate:
            return
        kind = self.draw("disk", "work")
        if kind in {"killed before", "killed after"}:
            process.kill()
        elif kind == "refused":
            raise OSError(5, "Input/output error")


_HARMLESS = ("refused", "lost", "slow", "hung", "denied")


class Faulty:
    """A port with *faults*: its coroutines and streams may fail, all else is as it is."""

    def __init__(self, target: Any, port: Port, faults: Faults, *, never: frozenset[str] = frozenset()) -> None:
        self._target = target
        self._port = port
        self._faults = faults
        self._never = never

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._target, name)
        if name in self._never:
            return attribute
        if inspect.iscoroutinefunction(attribute):
            attribute = self._call(name, attribute)
        elif inspect.isasyncgenfunction(attribute):
            attribute = self._stream(name, attribute)
        else:
            return attribute
        setattr(self, name, attribute)  # found at once from now on
        return attribute

    def _call(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        async def called(*arguments: Any, **options: Any) -> Any:
            kind = await self._before(name)
            answer = await function(*arguments, **options)
            await self._after(kind)
            return answer

        return called

    def _stream(self, name: str, function: Callable[..., AsyncIterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
        async def streamed(*arguments: Any, **options: Any) -> AsyncIterator[Any]:
            kind = await self._before(name)
            async for piece in function(*arguments, **options):
                yield piece
                await self._after(kind)

        return streamed

    async def _before(self, name: str) -> str | None:
        if not self._port.is_reached():
            await asyncio.sleep(CONNECT_SECONDS)
            raise self._error()
        kind = self._faults.draw(self._port.name, name)
        if kind == "killed before":
            await _present().die()
        if kind in {"slow", "hung"}:
            await asyncio.sleep(self._faults.random.uniform(0, 5.0 if kind == "slow" else LONGEST_HANG))
        if kind in {"refused", "hung"}:
            raise self._error()
        if kind == "denied":
            raise PermanentError("Denied", f"{self._port.name} refuses {name}")
        return kind

    async def _after(self, kind: str | None) -> None:
        if kind == "killed after":
            await _present().die()
        if kind == "lost" or not self._port.is_reached():
            raise self._error()

    def _error(self) -> ServiceError:
        away = self._port.away
        return TemporaryError(away.reason, away.message)


def _present() -> Process:
    process = present()
    assert process is not None, "only services call ports"
    return process
