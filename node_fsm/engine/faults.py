"""What is raised inside the engine, where nothing should be."""

from collections.abc import Iterator
from contextlib import contextmanager

from loguru import logger

from node_fsm.core.backoff import Backoff
from node_fsm.core.conditions import Conditions, ConditionType
from node_fsm.core.errors import ServiceError, UnexpectedError, as_service_error

PAUSE = Backoff(first=1.0, longest=60.0)


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


class Outage:
    """A row of failures of something that goes on by itself; *what* it means is said in the log.

    What the outside refuses is no news there, what nobody foresaw is: once, until it goes well again.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_told = False

    def failed(self, error: Exception) -> None:
        """It failed, once or once more."""
        if isinstance(error, ServiceError) or self._is_told:
            logger.debug("{}: {!r}", self._what, error)
        else:
            self._is_told = True
            logger.opt(exception=error).error("{}: {!r}", self._what, error)

    def ended(self) -> None:
        """It went well."""
        self._is_told = False
