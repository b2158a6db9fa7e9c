"""Conditions: observations beside the phase, each saying what is wrong and what to do about it.

A condition is not a state: it moves nothing. It stands in ``/state``, in the metrics and, when it comes, changes or
goes, in the log.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Condition:
    """One observation: *type* names it, *reason* is one CamelCase word, *message* says what to do."""

    type: str
    reason: str
    message: str
    since: datetime


class Conditions:
    """The conditions that hold now, by type."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._held: dict[str, Condition] = {}
        self.listeners: list[Callable[[str, Condition | None], None]] = []
        """Called with the type and the condition when it comes or changes, with None when it goes."""

    def raise_(self, type_: str, reason: str, message: str) -> None:
        """Say that condition *type_* holds; its ``since`` stays while its reason does."""
        held = self._held.get(type_)
        if held and (held.reason, held.message) == (reason, message):
            return
        since = held.since if held and held.reason == reason else self._now()
        self._held[type_] = Condition(type_, reason, message, since)
        self._tell(type_, self._held[type_])

    def clear(self, type_: str) -> None:
        """Say that condition *type_* does not hold."""
        if self._held.pop(type_, None):
            self._tell(type_, None)

    def set(self, type_: str, problem: tuple[str, str] | None) -> None:
        """Raise *type_* with the (reason, message) of *problem*, or clear it when there is none."""
        if problem:
            self.raise_(type_, *problem)
        else:
            self.clear(type_)

    def __iter__(self) -> Iterator[Condition]:
        return iter(sorted(self._held.values(), key=lambda condition: condition.type))

    def __contains__(self, type_: object) -> bool:
        return type_ in self._held

    def _tell(self, type_: str, condition: Condition | None) -> None:
        for listener in self.listeners:
            listener(type_, condition)
