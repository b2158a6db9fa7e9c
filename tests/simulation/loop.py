"""An event loop that many simulated processes share: its clock jumps, and each process can be killed or frozen.

Whatever a process schedules carries the process with it. A killed one runs nothing any more, not even its clean-up, as
after ``kill -9``; a frozen one runs everything once it thaws, as after SIGSTOP. What would be done on a thread is done
at once, so that one seed always gives one history.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar, copy_context
from typing import Any, NoReturn, TypeVar

from node_fsm.aio.threads import DISK, LONG
from tests.support.virtual_time import VirtualTimeLoop

T = TypeVar("T")


class Process:
    """One life of a simulated service."""

    def __init__(self, name: str, loop: "SimulationLoop") -> None:
        self.name = name
        self.is_dead = False
        self._loop = loop
        self._held_back: list[_Call] | None = None
        """What it would have run since it was frozen; None when it is not."""
        self._tasks: list[asyncio.Task[Any]] = []
        self._context = copy_context()
        self._context.run(_PROCESS.set, self)
        self.on_death: list[Callable[[], None]] = []

    @property
    def is_frozen(self) -> bool:
        return self._held_back is not None

    def start(self, coroutine: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Have this process run *coroutine*."""
        return self._context.run(self._loop.create_task, coroutine)

    def kill(self) -> None:
        """End it where it is."""
        if not self.is_dead:
            self.is_dead, self._held_back = True, None
            for told in self.on_death:
                told()

    async def die(self) -> NoReturn:
        """Kill the process from inside: nothing after this is ever run."""
        self.kill()
        await asyncio.Future()
        raise AssertionError("the dead do not wake")

    def freeze(self) -> None:
        self._held_back = self._held_back or []

    def thaw(self) -> None:
        held_back, self._held_back = self._held_back or [], None
        for call in held_back:
            self._loop.call_soon(call, context=_NOBODY)

    def owns(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.append(task)

    def runs(self, call: "_Call") -> bool:
        """Whether it may run *call* now; if it is frozen it does later."""
        if self._held_back is not None:
            self._held_back.append(call)
        return not self.is_dead and self._held_back is None

    def bury(self) -> None:
        """Let go of what it was doing; what its clean-up still does is nobody's business any more."""
        for task in self._tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]  # it was killed, not forgotten
                with suppress(BaseException):
                    coroutine: Any = task.get_coro()
                    coroutine.close()
        self._tasks.clear()


_PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)
_NOBODY = Context()


def present() -> Process | None:
    """The process that runs now; None outside of all."""
    return _PROCESS.get()


class _Call:
    """A callback of a process."""

    __slots__ = ("_arguments", "_callback", "_context", "_process", "handle")

    def __init__(
        self, process: Process, callback: Callable[..., object], arguments: tuple[Any, ...], context: Context
    ) -> None:
        self._process = process
        self._callback = callback
        self._arguments = arguments
        self._context = context
        self.handle: asyncio.Handle | None = None
        """By which it may be cancelled, also while the process is frozen."""

    def __call__(self) -> None:
        is_cancelled = self.handle is not None and self.handle.cancelled()
        if not is_cancelled and self._process.runs(self):
            self._context.run(self._callback, *self._arguments)


class SimulationLoop(VirtualTimeLoop):
    """The loop. Nothing of a process is run while it is frozen, or once it is dead."""

    def call_soon(  # type: ignore[override]  # the base class is typed by type variables of its stub
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        process = _process_of(context)
        if process is None:
            return super().call_soon(callback, *args, context=context)
        call = _Call(process, callback, args, context or copy_context())
        call.handle = super().call_soon(call, context=_NOBODY)
        return call.handle

    def call_at(  # type: ignore[override]  # as above
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        process = _process_of(context)
        if process is None:
            return super().call_at(when, callback, *args, context=context)
        call = _Call(process, callback, args, context or copy_context())
        call.handle = timer = super().call_at(when, call, context=_NOBODY)
        return timer

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """A task of a killed process that was closed before it began is no news."""
        if context.get("message") != "Task was destroyed but it is pending!":
            super().call_exception_handler(context)

    def create_task(self, coro: Any, **options: Any) -> Any:
        task = super().create_task(coro, **options)
        process = _PROCESS.get()
        if process is not None:
            process.owns(task)
        return task

    def wrap_call(self, call: "Future[Any]") -> "asyncio.Future[Any]":
        """What a thread would do is done already, or never: its process was killed before."""
        ended = self.create_future()
        if call.done():
            error = call.exception()
            if error:
                ended.set_exception(error)
            else:
                ended.set_result(call.result())
        return ended


def _process_of(context: Context | None) -> Process | None:
    return _PROCESS.get() if context is None else context.get(_PROCESS)


@contextmanager
def threads_at_once(before: Callable[[], None] = lambda: None) -> Iterator[None]:
    """What is handed to the service's threads is done at once, after *before* was called.

    That may raise, or kill the process: then the work is not done, and never ends.
    """

    def submit(function: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":
        future: Future[T] = Future()
        try:
            before()
            process = present()
            if process is None or not process.is_dead:
                future.set_result(function(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - as a thread does
            future.set_exception(error)
        return future

    pools = (DISK, LONG)
    for pool in pools:
        pool.submit = submit  # type: ignore[method-assign]
    try:
        yield
    finally:
        for pool in pools:
            del pool.submit
