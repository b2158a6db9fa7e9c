"""Reading a YAML document strictly: every key known, every value of its type, errors in the words of serde."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

Reader = Callable[[Any], T]

_PLACE = re.compile(r"[\w\[\].]+")
_DURATION = re.compile(r"(\d+)\s*(ns|us|ms|sec|s|min|m|hours|hour|hr|h|days|day|d)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1, "sec": 1, "m": 60, "min": 60}
_SECONDS |= {"h": 3600, "hr": 3600, "hour": 3600, "hours": 3600, "d": 86400, "day": 86400, "days": 86400}


class SchemaError(ValueError):
    """A value is not what its place in the document wants; the text begins with the place."""

    def within(self, key: str) -> "SchemaError":
        """This error, of a value inside *key*, which is a name or an index in brackets."""
        place, colon, rest = str(self).partition(": ")
        if colon and _PLACE.fullmatch(place):
            separator = "" if place.startswith("[") else "."
            return SchemaError(f"{key}{separator}{place}: {rest}")
        return SchemaError(f"{key}: {self}")


def mapping(fields: Mapping[str, Reader[Any]], required: tuple[str, ...] = ()) -> Reader[dict[str, Any]]:
    """A reader of a mapping with these keys only; what is absent or null is left out, unless *required*."""

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _mismatch(value, "struct")
        found = {}
        for key, inner in value.items():
            reader = fields.get(key)
            if reader is None:
                raise SchemaError(f"unknown field `{key}`, expected {_listed(fields)}")
            if inner is not None:
                try:
                    found[key] = reader(inner)
                except SchemaError as error:
                    raise error.within(key) from None
        for key in required:
            if key not in value:
                raise SchemaError(f"missing field `{key}`")
        return found

    return read


def sequence(reader: Reader[T]) -> Reader[list[T]]:
    """A reader of a list of what *reader* reads."""

    def read(value: Any) -> list[T]:
        if not isinstance(value, list):
            raise _mismatch(value, "a sequence")
        found = []
        for index, item in enumerate(value):
            try:
                found.append(reader(item))
            except SchemaError as error:
                raise error.within(f"[{index}]") from None
        return found

    return read


def text(value: Any) -> str:
    """A string."""
    if not isinstance(value, str):
        raise _mismatch(value, "a string")
    return value


def flag(value: Any) -> bool:
    """A boolean."""
    if not isinstance(value, bool):
        raise _mismatch(value, "a boolean")
    return value


def whole(value: Any) -> int:
    """A number from zero on, without a fraction."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _mismatch(value, "usize")
    return value


def path(value: Any) -> Path:
    """A path."""
    return Path(text(value))


def duration(value: Any) -> float:
    """A duration like ``2s`` or ``1m 30s``, in seconds."""
    written = str(value)
    parts = _DURATION.findall(written)
    if not parts or _DURATION.sub("", written).strip():
        raise SchemaError("time unit needed, for example 2sec or 2ms")
    return float(sum(int(number) * _SECONDS[unit] for number, unit in parts))


def one_of(*variants: str) -> Reader[str]:
    """A reader of one of these words."""

    def read(value: Any) -> str:
        word = text(value)
        if word not in variants:
            raise SchemaError(f"unknown variant `{word}`, expected {_listed(variants)}")
        return word

    return read


def parsed(parse: Callable[[str], T]) -> Reader[T]:
    """A reader of a string that *parse*, which raises ValueError, makes something of."""

    def read(value: Any) -> T:
        try:
            return parse(text(value))
        except SchemaError:
            raise
        except ValueError as error:
            raise SchemaError(str(error)) from None

    return read


def _listed(names: Iterable[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return " or ".join(quoted) if len(quoted) <= 2 else f"one of {', '.join(quoted)}"


def _mismatch(value: Any, expected: str) -> SchemaError:
    kinds = {bool: "boolean", int: "integer", float: "floating point", str: "string", list: "sequence", dict: "map"}
    kind = kinds.get(type(value), "unit value")
    shown = f" `{json.dumps(value)}`" if isinstance(value, bool | int | float) else ""
    if isinstance(value, str):
        shown = f" {json.dumps(value)}"
    return SchemaError(f"invalid type: {kind}{shown}, expected {expected}")
