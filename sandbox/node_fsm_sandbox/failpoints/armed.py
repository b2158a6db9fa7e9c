"""What is to fail, as ``NODE_FSM_FAILPOINTS`` says it: ``NAME[@WHEN]=ACTION``, several with commas between them.

Each fails once in a life, the first time that it comes to that place: with ``@PHASE`` in that phase, with ``@N`` the
N-th time.
"""

import asyncio
import os
import re
import select
import signal
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from threading import Lock
from typing import Self

from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.core.phases import Phase
from node_fsm_sandbox.failpoints.names import Moment, failpoints, place

SETTING = "NODE_FSM_FAILPOINTS"

_POLL_SECONDS = 0.05
_STDERR = 2
_SPECIFICATION = re.compile(
    r"(?P<place>(?P<effect>[\w.]+):(?P<moment>\w+)(@((?P<pass>[1-9]\d*)|(?P<phase>[A-Z]\w*)))?)"
    r"=(?P<action>\w+)(:(?P<file>.+))?"
)


class Action(StrEnum):
    """How a service fails."""

    KILL = "kill"
    """SIGKILL, to itself."""

    TERM = "term"
    """SIGTERM, to itself; the call waits there until the service ends it, unless it is one that cannot."""

    ERROR = "error"
    """The call fails as if the outside had not answered; the disk, as if it could not be read or written."""

    HANG = "hang"
    """The call never goes on by itself."""

    PAUSE = "pause"
    """``pause:FILE``: the call goes on once that file is gone."""


@dataclass(slots=True)
class Failpoint:
    """One that is armed, *place* as it is written: what happens, in which phase, at which pass to come (1 is next)."""

    place: str
    name: str
    action: Action
    file: Path | None
    phase: Phase | None
    passes: int

    @classmethod
    def parse(cls, text: str, known: Collection[str]) -> Self:
        """One specification; ValueError saying what is wrong with it."""
        found = _SPECIFICATION.fullmatch(text)
        if not found:
            raise ValueError(f"{text!r} must be NAME[@N or @PHASE]=ACTION, as store.upload:done@2=kill")
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
        if found["phase"] and found["phase"] not in set(Phase):
            raise ValueError(f"{found['place']}: {found['phase']} is no phase; there are {', '.join(Phase)}")
        return cls(
            place=found["place"],
            name=name,
            action=Action(action),
            file=Path(found["file"]) if found["file"] else None,
            phase=Phase(found["phase"]) if found["phase"] else None,
            passes=int(found["pass"] or 1),
        )


class Armed:
    """The failpoints of this life. A place that has none costs a look into a dictionary."""

    def __init__(self, points: Mapping[str, list[Failpoint]], phase: Callable[[], Phase]) -> None:
        self._points = points
        self._phase = phase
        self._lock = Lock()  # some are passed on threads

    @classmethod
    def parse(cls, setting: str, phase: Callable[[], Phase]) -> Self:
        """All that *setting* says; *phase* is asked in which one the service is. PermanentError names what is wrong."""
        points: dict[str, list[Failpoint]] = {}
        known = failpoints()
        for text in filter(None, map(str.strip, setting.split(","))):
            try:
                point = Failpoint.parse(text, known)
            except ValueError as error:
                raise PermanentError("FailpointUnknown", f"{SETTING}: {error}") from None
            points.setdefault(point.name, []).append(point)
        return cls(points, phase)

    async def reach(self, name: str) -> None:
        """Pass a place in a coroutine: fail there if that is due. Raises TemporaryError."""
        point = self._due(name)
        if point is None:
            return
        _send_signal(point)
        if point.action is Action.ERROR:
            raise TemporaryError(_reason(name), f"{name} fails as it is told to")
        while point.file is None or point.file.exists():  # noqa: ASYNC110 - nothing else tells of it
            await asyncio.sleep(_POLL_SECONDS)

    def reach_blocking(self, name: str) -> None:
        """The same where nothing can be awaited. Raises OSError."""
        point = self._due(name)
        if point is None:
            return
        _send_signal(point)
        if point.action is Action.TERM:
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
                if point.phase in {None, self._phase()}:
                    point.passes -= 1
                    due = point if point.passes == 0 else due
        if due and select.select([], [_STDERR], [], 0)[1]:  # not into the log, whose lines wait for their turn
            os.write(_STDERR, f"failpoint {due.place}: {due.action}\n".encode())
        return due


def _send_signal(point: Failpoint) -> None:
    """Do what the action says of signals, if it does."""
    if point.action is Action.KILL:
        os.kill(os.getpid(), signal.SIGKILL)
    elif point.action is Action.TERM:
        os.kill(os.getpid(), signal.SIGTERM)


def _reason(name: str) -> str:
    """One for each place, as each cause of a failure has delays of its own: ``FailpointStoreUploadDone``."""
    return "Failpoint" + "".join(word[0].upper() + word[1:] for word in re.split(r"\W|_", name))
