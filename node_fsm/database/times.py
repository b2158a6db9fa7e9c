"""Times in rows: any that Postgres can hold is read without an error, and those that no election can have are told.

Postgres knows years from 4713 BC to 294276 and two infinities; Python, the chain and its arithmetic do not.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from node_fsm.core.chain_time import END_OF_TIME, FIRST_TIME
from node_fsm.core.errors import PermanentError

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CYCLE = timedelta(days=146_097) // _MICROSECOND
"""The calendar repeats itself after 400 years."""
_INFINITIES = {2**63 - 1: "infinity", -(2**63): "-infinity"}


class RowUnreadableError(PermanentError):
    """A row holds what it cannot hold: *where* names table, column and row, *what* says what stands there."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__("RowUnreadable", f"{where} {what}; correct the row by SQL")


def readable(time: datetime | str, where: str) -> datetime:
    """A time as it was read from a row; RowUnreadableError when it is none that can be worked with."""
    if isinstance(time, str):
        raise RowUnreadableError(where, f"is {time}, which is not between {FIRST_TIME:%Y} and {END_OF_TIME:%Y}")
    return time


async def read_any_time(connection: asyncpg.Connection) -> None:
    """Have *connection* read times outside of these as text, where asyncpg raises OverflowError."""
    await connection.set_type_codec(
        "timestamptz", schema="pg_catalog", encoder=_encoded, decoder=_decoded, format="tuple"
    )


def _encoded(time: datetime) -> tuple[int]:
    return ((time - _EPOCH) // _MICROSECOND,)


def _decoded(value: tuple[Any, ...]) -> datetime | str:
    microseconds: int = value[0]
    if microseconds in _INFINITIES:
        return _INFINITIES[microseconds]
    cycles, rest = divmod(microseconds, _CYCLE)
    time = _EPOCH + rest * _MICROSECOND
    year = time.year + 400 * cycles
    if FIRST_TIME.year <= year < END_OF_TIME.year:
        return time.replace(year=year)
    shown = f"{time:%m-%d %H:%M:%S}+00"
    return f"{year:04d}-{shown}" if year > 0 else f"{1 - year:04d}-{shown} BC"
