"""Dictionaries that can be put back to how they were: the ledger of a chain that may turn."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_ABSENT: Any = object()


class Journal:
    """What was overwritten in its tables, in order."""

    def __init__(self) -> None:
        self._overwritten: list[tuple[dict[Any, Any], Any, Any]] = []

    def mark(self) -> int:
        """The present state, for :meth:`rollback`; valid until something before it is rolled back."""
        return len(self._overwritten)

    def note(self, values: dict[Any, Any], key: Any) -> None:
        """*key* of *values* is about to change."""
        self._overwritten.append((values, key, values.get(key, _ABSENT)))

    def rollback(self, mark: int) -> None:
        """Undo every change since *mark*."""
        while len(self._overwritten) > mark:
            values, key, old = self._overwritten.pop()
            if old is _ABSENT:
                del values[key]
            else:
                values[key] = old

    def forget(self) -> None:
        """Make the present state the oldest one there is."""
        self._overwritten.clear()


class Table(Mapping[K, V]):
    """A dictionary of immutable values whose changes a journal notes."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._values: dict[K, V] = {}

    def __getitem__(self, key: K) -> V:
        return self._values[key]

    def __setitem__(self, key: K, value: V) -> None:
        self._journal.note(self._values, key)
        self._values[key] = value

    def __iter__(self) -> Iterator[K]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
