"""Conditions: observations beside the phase, each saying what is wrong and what to do about it.

A condition is not a state: it moves nothing. It stands in ``/state``, in the metrics and, when it comes, changes or
goes, in the log.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ConditionType(StrEnum):
    """All that is observed. What each means, and what to do about it, stands in docs/runbook.md."""

    ARCHIVE_UNUSABLE = "archive_unusable"
    BLOCK0_CONFLICT = "block0_conflict"
    BLOCKS_TOO_LARGE = "blocks_too_large"
    CHAIN_BEHIND = "chain_behind"
    CHAIN_STALLED = "chain_stalled"
    CLOCK_WRONG = "clock_wrong"
    DATABASE_UNAVAILABLE = "database_unavailable"
    DISK_SHORT = "disk_short"
    ELECTION_DOUBTFUL = "election_doubtful"
    ELECTION_INVALID = "election_invalid"
    ELECTION_LATE = "election_late"
    ELECTION_MISSED = "election_missed"
    ENGINE_FAILING = "engine_failing"
    ISOLATED = "isolated"
    KEY_NOT_IN_CHAIN = "key_not_in_chain"
    KEY_UNUSABLE = "key_unusable"
    MEMBER_KEY_UNUSABLE = "member_key_unusable"
    NODE_NOT_RUNNING = "node_not_running"
    NOT_WRITTEN = "not_written"
    NOTIFICATIONS_LOST = "notifications_lost"
    OTHER_LEADER0 = "other_leader0"
    OVERLAP = "overlap"
    PORT_UNUSABLE = "port_unusable"
    PROGRAM_UNUSABLE = "program_unusable"
    ROW_UNREADABLE = "row_unreadable"
    SANDBOX = "sandbox"
    SET_ASIDE_UNARCHIVED = "set_aside_unarchived"
    SHARES_MISSING = "shares_missing"
    SHARE_REFUSED = "share_refused"
    SPEC_DRIFT = "spec_drift"
    SPLIT_BRAIN = "split_brain"
    STORAGE_UNREADABLE = "storage_unreadable"
    TALLY_DISPUTED = "tally_disputed"
    TALLY_WAITS = "tally_waits"
    TALLY_WINDOW_MISSED = "tally_window_missed"
    TEMPLATE_INVALID = "template_invalid"
    VOTES_NOT_COUNTED = "votes_not_counted"
    WORK_FAILING = "work_failing"


@dataclass(frozen=True, slots=True)
class Condition:
    """One observation: *type* names it, *reason* is one CamelCase word, *message* says what to do."""

    type: ConditionType
    reason: str
    message: str
    since: datetime


class Conditions:
    """The conditions that hold now, by type."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._held: dict[ConditionType, Condition] = {}
        self.listeners: list[Callable[[ConditionType, Condition | None], None]] = []
        """Called with the type and the condition when it comes or changes, with None when it goes."""

    def raise_(self, type_: ConditionType, reason: str, message: str) -> None:
        """Say that condition *type_* holds; its ``since`` stays while its reason does."""
        held = self._held.get(type_)
        if held and (held.reason, held.message) == (reason, message):
            return
        since = held.since if held and held.reason == reason else self._now()
        self._held[type_] = Condition(type_, reason, message, since)
        self._tell(type_, self._held[type_])

    def clear(self, type_: ConditionType) -> None:
        """Say that condition *type_* does not hold."""
        if self._held.pop(type_, None):
            self._tell(type_, None)

    def set(self, type_: ConditionType, problem: tuple[str, str] | None) -> None:
        """Raise *type_* with the (reason, message) of *problem*, or clear it when there is none."""
        if problem:
            self.raise_(type_, *problem)
        else:
            self.clear(type_)

    def __iter__(self) -> Iterator[Condition]:
        return iter(sorted(self._held.values(), key=lambda condition: condition.type))

    def __contains__(self, type_: object) -> bool:
        return type_ in self._held

    def _tell(self, type_: ConditionType, condition: Condition | None) -> None:
        for listener in self.listeners:
            listener(type_, condition)
