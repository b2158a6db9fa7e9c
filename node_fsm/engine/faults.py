"""What is raised inside the engine, where nothing should be."""

from collections.abc import Iterator
from contextlib import contextmanager

from loguru import logger

from node_fsm.core.backoff import Backoff
from node_fsm.core.conditions import Conditions, ConditionType
from node_fsm.core.errors import ServiceError, UnexpectedError, as_service_error

PAUSE = Backoff(first=1.0, longest=60.0)

_AWAY = {"DatabaseUnavailable", "DatabaseTimeout", "DatabaseBusy"}


class Faults:
    """Turns it into a condition, and once into a traceback in the log: it must not end a running election."""

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions
        self._found: dict[str, ServiceError] = {}
        self._logged: set[str] = set()
        self._cut_short = 0

    @contextmanager
    def caught(self, doing: str) -> Iterator[None]:
        """Go on after the block, whatever it raises; *doing* says what it does, as the subject of a sentence."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - that is what this is for
            self.found(doing, error)

    def found(self, doing: str, error: Exception) -> None:
        """*doing* something raised *error*; the next :meth:`settle` tells it."""
        self._found[doing] = problem = as_service_error(error, doing)
        if isinstance(problem, UnexpectedError) and doing not in self._logged:
            self._logged.add(doing)
            logger.opt(exception=error).error("{}", problem)

    def settle(self) -> None:
        """Tell what was found since the last time; nothing, and the last step of the engine completed, is the end."""
        found, self._found = list(self._found.values()), {}
        if found:
            message = "; ".join(problem.message for problem in found)
            self._conditions.raise_(ConditionType.ENGINE_FAILING, found[0].reason, message)
        elif not self._cut_short:
            self._logged.clear()
            self._conditions.clear(ConditionType.ENGINE_FAILING)

    def cut_short(self, error: Exception) -> float:
        """*error* ended a step of the engine; seconds to wait before the next one, more after each in a row."""
        self._cut_short += 1
        self.found("the engine's step", error)
        self.settle()
        return PAUSE.delay(self._cut_short)

    def completed(self) -> None:
        """A step of the engine went to its end."""
        self._cut_short = 0


class Unwritten:
    """What this service has to tell and cannot: a condition that says what is not being written, and why."""

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions
        self._failing: dict[str, ServiceError] = {}

    def outage(self, what: str) -> "Outage":
        """The writing of *what*, the object of a sentence."""
        return Outage(what, self)

    def say(self, what: str, problem: ServiceError | None) -> None:
        """*what* could not be written, or was. A database that is away is told of by who reads it."""
        self._failing.pop(what, None)
        if problem and problem.reason not in _AWAY:
            self._failing[what] = problem
        first = self._failing[min(self._failing)] if self._failing else None
        message = f"the service cannot write {', '.join(sorted(self._failing))}: {first.message}" if first else ""
        self._conditions.set(ConditionType.NOT_WRITTEN, (first.reason, message) if first else None)


class Outage:
    """A row of failures to write *what*, by something that goes on by itself; :class:`Unwritten` makes them.

    In the log what the outside refuses is no news, what nobody foresaw is: once, until it goes well again.
    """

    def __init__(self, what: str, unwritten: Unwritten) -> None:
        self._what = what
        self._unwritten = unwritten
        self._is_told = False

    def failed(self, error: Exception) -> None:
        """It failed, once or once more."""
        self._unwritten.say(self._what, as_service_error(error, f"writing {self._what}"))
        if isinstance(error, ServiceError) or self._is_told:
            logger.debug("{} waits: {!r}", self._what, error)
        else:
            self._is_told = True
            logger.opt(exception=error).error("{} waits: {!r}", self._what, error)

    def ended(self) -> None:
        """It went well."""
        self._is_told = False
        self._unwritten.say(self._what, None)
