"""What is to fail, as ``NODE_FSM_FAILPOINTS`` says it: ``NAME[@N]=ACTION``, several with commas between them.

``@N`` is the N-th time that a life comes to that place, the first when it is not said. Each fails once in a life.
"""

import asyncio
import os
import re
import select
import signal
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from threading import Lock
from typing import Self

from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm_sandbox.failpoints.names import Moment, failpoints, place

SETTING = "NODE_FSM_FAILPOINTS"
REASON = "Failpoint"
"""The reason of the TemporaryError that the action ``error`` raises."""

_POLL_SECONDS = 0.05
_STDERR = 2
_SPECIFICATION = re.compile(r"(?P<effect>[\w.]+):(?P<moment>\w+)(@(?P<pass>[1-9]\d*))?=(?P<action>\w+)(:(?P<file>.+))?")


class Action(StrEnum):
    """How a service fails."""

    KILL = "kill"
    """SIGKILL, to itself."""

    TERM = "term"
    """SIGTERM, to itself; the call goes on until the service ends it."""

    ERROR = "error"
    """The call fails as if the outside had not answered; the disk, as if it could not be read or written."""

    HANG = "hang"
    """The call never goes on by itself."""

    PAUSE = "pause"
    """``pause:FILE``: the call goes on once that file is gone."""


@dataclass(slots=True)
class Failpoint:
    """One that is armed: what happens there, and at which of the passes to come (1 is the next)."""

    name: str
    action: Action
    file: Path | None
    passes: int

    @classmethod
    def parse(cls, text: str, known: Collection[str]) -> Self:
        """One specification; ValueError saying what is wrong with it."""
        found = _SPECIFICATION.fullmatch(text)
        if not found:
            raise ValueError(f"{text!r} must be NAME[@N]=ACTION, as store.upload:done@2=kill")
        effect, moment, action = found["effect"], found["moment"], found["action"]
        name = place(effect, Moment(moment)) if moment in set(Moment) else f"{effect}:{moment}"
        if name not in known:
            close = get_close_matches(name, known, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(close)}? " if close else ""
            raise ValueError(
                f"{name} is no failpoint; {hint}`python -m node_fsm_sandbox.failpoints` lists all there are"
            )
        if action not in set(Action):
            raise ValueError(f"{name}={action} must be one of {', '.join(Action)}")
        if (action == Action.PAUSE) != bool(found["file"]):
            raise ValueError(f"{name}={action}: pause, and nothing else, needs a file, as {name}=pause:/tmp/hold")
        return cls(name, Action(action), Path(found["file"]) if found["file"] else None, int(found["pass"] or 1))


class Armed:
    """The failpoints of this life. A place that has none costs a look into a dictionary."""

    def __init__(self, points: Mapping[str, list[Failpoint]]) -> None:
        self._points = points
        self._lock = Lock()  # some are passed on threads

    @classmethod
    def parse(cls, setting: str) -> Self:
        """All that *setting* says; PermanentError names what is wrong."""
        points: dict[str, list[Failpoint]] = {}
        known = failpoints()
        for text in filter(None, map(str.strip, setting.split(","))):
            try:
                point = Failpoint.parse(text, known)
            except ValueError as error:
                raise PermanentError("FailpointUnknown", f"{SETTING}: {error}") from None
            points.setdefault(point.name, []).append(point)
        return cls(points)

    async def reach(self, name: str) -> None:
        """Pass a place in a coroutine: fail there if that is due. Raises TemporaryError."""
        point = self._due(name)
        if point is None or self._at_once(point):
            return
        if point.action is Action.ERROR:
            raise TemporaryError(REASON, f"{name} fails as it is told to")
        while point.file is None or point.file.exists():  # noqa: ASYNC110 - nothing else tells of it
            await asyncio.sleep(_POLL_SECONDS)

    def reach_blocking(self, name: str) -> None:
        """The same where nothing can be awaited. Raises OSError."""
        point = self._due(name)
        if point is None or self._at_once(point):
            return
        if point.action is Action.ERROR:
            raise OSError(5, f"{name} fails as it is told to")
        while point.file is None or point.file.exists():
            time.sleep(_POLL_SECONDS)

    def _due(self, name: str) -> Failpoint | None:
        """The one that is to happen at this pass, if any; from then on it is none any more."""
        with self._lock:
            due = None
            for point in self._points.get(name, ()):
                point.passes -= 1
                due = point if point.passes == 0 else due
        if due and select.select([], [_STDERR], [], 0)[1]:  # not into the log, whose lines wait for their turn
            os.write(_STDERR, f"failpoint {name}: {due.action}\n".encode())
        return due

    @staticmethod
    def _at_once(point: Failpoint) -> bool:
        """Do what takes no time; whether it was that."""
        if point.action is Action.KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        elif point.action is Action.TERM:
            os.kill(os.getpid(), signal.SIGTERM)
        return point.action in {Action.KILL, Action.TERM}
