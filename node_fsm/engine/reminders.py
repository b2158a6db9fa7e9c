"""Conditions that hold are logged again every few minutes, so that a log of the last hour says what is wrong."""

from collections.abc import Callable

from loguru import logger

from node_fsm.core.conditions import Condition, Conditions, ConditionType

REMINDER_SECONDS = 300.0
"""A condition that nobody mends is a dozen lines an hour."""


class Reminders:
    """Logs conditions as they come, change and go, and again while they hold."""

    def __init__(self, conditions: Conditions, monotonic: Callable[[], float]) -> None:
        self._conditions = conditions
        self._monotonic = monotonic
        self._logged: dict[ConditionType, float] = {}

    def changed(self, type_: ConditionType, condition: Condition | None) -> None:
        """Log that a condition came or changed, or that it is over."""
        if condition:
            logger.warning("condition {} ({}): {}", type_, condition.reason, condition.message)
            self._logged[type_] = self._monotonic()
        else:
            logger.info("condition {} is over", type_)
            self._logged.pop(type_, None)

    def remind(self) -> None:
        """Log the conditions of which the log has not spoken for REMINDER_SECONDS."""
        now = self._monotonic()
        for held in self._conditions:
            if now - self._logged.get(held.type, now) >= REMINDER_SECONDS:
                self._logged[held.type] = now
                since = held.since.isoformat(timespec="seconds")
                logger.warning("condition {} ({}) holds since {}: {}", held.type, held.reason, since, held.message)
