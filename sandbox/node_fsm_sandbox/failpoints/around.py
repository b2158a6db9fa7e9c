"""The ports of a service with failpoints around every effect. Nothing but ``node_fsm.service`` puts them there."""

import functools
import inspect
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from loguru import logger
from sqlalchemy import Connection, Engine, event
from sqlalchemy.util import await_only

from node_fsm.steps.context import Context
from node_fsm_sandbox.failpoints.armed import SETTING, Armed
from node_fsm_sandbox.failpoints.names import NO_EFFECT, PORTS, Moment, is_transaction, members
from states.base import PhaseState

_writing: ContextVar[str | None] = ContextVar("_writing", default=None)
"""The effect whose transaction is under way."""

_PARTS: Final = frozenset({"api"})
"""What of a port is not called but has calls of its own."""


def arm(setting: str, ctx: Context, states: Collection[PhaseState]) -> None:
    """Have the ports of *ctx* and the phases fail as *setting* says; PermanentError names what is wrong with it."""
    armed = Armed.parse(setting, lambda: ctx.phase)
    logger.warning("{} is set, so this service fails on purpose: {}", SETTING, setting)
    for port in PORTS:
        setattr(ctx, port, WithFailpoints(getattr(ctx, port), port, armed))
    for state in states:
        state.run = _around(f"phase.{state.name}", state.run, armed)  # type: ignore[method-assign]
    event.listen(Engine, "commit", functools.partial(_at_commit, armed))


class WithFailpoints:
    """A port whose effects pass their failpoints; all else is as it is."""

    def __init__(self, target: Any, port: str, armed: Armed) -> None:
        self._target = target
        self._port = port
        self._armed = armed
        self._effects = members(port) - NO_EFFECT[port]

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._target, name)
        if name in _PARTS:
            return WithFailpoints(attribute, self._port, self._armed)
        return _around(f"{self._port}.{name}", attribute, self._armed) if name in self._effects else attribute


def _around(effect: str, call: Callable[..., Any], armed: Armed) -> Callable[..., Any]:
    """*call* with the failpoints of *effect*; those of a transaction's COMMIT are at the engine of SQLAlchemy."""
    before = f"{effect}:{Moment.BEFORE}"
    after = f"{effect}:{Moment.RECORDED if is_transaction(effect) else Moment.DONE}"
    if not inspect.iscoroutinefunction(call):

        @functools.wraps(call)
        def blocking(*arguments: Any, **options: Any) -> Any:
            armed.reach_blocking(before)
            answer = call(*arguments, **options)
            armed.reach_blocking(after)
            return answer

        return blocking

    @functools.wraps(call)
    async def called(*arguments: Any, **options: Any) -> Any:
        await armed.reach(before)
        with _as_writing(effect):
            answer = await call(*arguments, **options)
        await armed.reach(after)
        return answer

    return called


@contextmanager
def _as_writing(effect: str) -> Iterator[None]:
    """Have COMMITs know whose they are. A phase writes by calls that say it themselves."""
    if not is_transaction(effect):
        yield
        return
    token = _writing.set(effect)
    try:
        yield
    finally:
        _writing.reset(token)


def _at_commit(armed: Armed, _: Connection) -> None:
    """All of a transaction is written, and its COMMIT is sent next."""
    if effect := _writing.get():
        await_only(armed.reach(f"{effect}:{Moment.DONE}"))
