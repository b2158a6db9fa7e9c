"""Reading documents that people write, as YAML or as JSON, into values that know how they were spelled.

What a word such as ``1.0`` or ``yes`` means depends in jcli on what a field expects, so words without quotes are
kept as they stand, as a `Plain`. Messages name the path of the field; jcli adds the line and column.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from node_fsm_sandbox.jcli.values import from_hex

T = TypeVar("T")
Reader = Callable[["Node"], T]


class Plain(str):
    """A word without quotes: a number, a truth value, nothing at all, or a text."""

    __slots__ = ()


class DocumentError(ValueError):
    """A document does not say what is expected of it; the message begins with the path of the field."""


class Node(NamedTuple):
    """A value in a document, and where: ``initial[0].fund``. Every method raises DocumentError."""

    value: Any
    path: str = ""

    def error(self, message: str) -> DocumentError:
        """The error that *message* is the case here."""
        return DocumentError(f"{self.path}: {message}" if self.path else message)

    def invalid_type(self, expected: str) -> DocumentError:
        """The error that something else is *expected* here."""
        return self.error(f"invalid type: {_describe(self.value)}, expected {expected}")

    def field(self, name: str) -> "Node":
        """A field that has to be there."""
        if (field := self.optional(name)) is None:
            raise self.error(f"missing field `{name}`")
        return field

    def optional(self, name: str) -> "Node | None":
        """A field that may be missing."""
        if not isinstance(self.value, Mapping):
            raise self.invalid_type("a mapping")
        if name not in self.value:
            return None
        return Node(self.value[name], f"{self.path}.{name}" if self.path else name)

    def items(self) -> Iterable["Node"]:
        """The elements of a sequence."""
        if not isinstance(self.value, Sequence) or isinstance(self.value, str):
            raise self.invalid_type("a sequence")
        return (Node(value, f"{self.path}[{index}]") for index, value in enumerate(self.value))

    def only(self, names: Collection[str]) -> None:
        """A mapping must have no fields but *names*."""
        if not isinstance(self.value, Mapping):
            raise self.invalid_type("a mapping")
        for name in self.value:
            if name not in names:
                raise self.error(f"unknown field `{name}`, expected {_one_of(names)}")

    def variant(self, names: Collection[str]) -> tuple[str, "Node"]:
        """A mapping of one field, which must be one of *names*: that name, and what it has."""
        if not isinstance(self.value, Mapping) or len(self.value) != 1:
            raise self.invalid_type("a mapping of one field")
        self.only(names)
        (name,) = self.value
        return name, self.field(name)

    def text(self) -> str:
        """A text, with or without quotes."""
        if not isinstance(self.value, str) or self.is_null():
            raise self.invalid_type("a string")
        return str(self.value)

    def number(self, bits: int) -> int:
        """An unsigned number of that many bits."""
        if (value := self.whole_number()) is None:
            raise self.invalid_type(f"u{bits}")
        if value >> bits:
            raise self.error(f"invalid value: integer `{value}`, expected u{bits}")
        return value

    def whole_number(self) -> int | None:
        """The number that a plain word is, None when it is no whole one above or equal to zero."""
        if isinstance(self.value, Plain) and self.value.isascii() and self.value.isdigit():
            return int(self.value)
        return None

    def choice(self, names: Mapping[str, T]) -> T:
        """What one of several words stands for."""
        text = self.text()
        if text not in names:
            raise self.error(f"unknown variant `{text}`, expected {_one_of(names)}")
        return names[text]

    def is_null(self) -> bool:
        """Whether nothing stands here."""
        return self.value is None or (isinstance(self.value, Plain) and self.value in ("", "~", "null"))

    def is_number(self) -> bool:
        """Whether this is a word that is a number, of any kind."""
        if not isinstance(self.value, Plain):
            return False
        try:
            float(self.value)
        except ValueError:
            return False
        return True

    def convert(self, read: Callable[[str], T]) -> T:
        """What *read* makes of a text; its ValueErrors are those of the document."""
        text = self.text()
        try:
            return read(text)
        except ValueError as error:
            raise self.error(str(error)) from None


def parse(data: bytes) -> Node:
    """The root of a document; DocumentError when it is neither JSON nor YAML."""
    if data.lstrip()[:1] == b"{":
        try:
            # Most documents are JSON, which is YAML too but read many times faster.
            return Node(
                json.loads(data, object_pairs_hook=_mapping, parse_int=Plain, parse_float=Plain, parse_constant=Plain)
            )
        except ValueError:
            pass
    return Node(_parse_yaml(data))


def _mapping(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        names = [name for name, _ in pairs]
        raise DocumentError(f"duplicate field `{next(name for name in names if names.count(name) > 1)}`")
    return mapping


def _parse_yaml(data: bytes) -> Any:
    import yaml  # imported here because the import takes longer than most commands

    class Loader(getattr(yaml, "CBaseLoader", yaml.BaseLoader)):  # type: ignore[misc]  # chosen at run time
        """All words stay words."""

    def scalar(_: Any, node: Any) -> str:
        return node.value if node.style else Plain(node.value)

    def mapping(loader: Any, node: Any) -> dict[str, Any]:
        return _mapping(loader.construct_pairs(node, deep=True))

    Loader.add_constructor(Loader.DEFAULT_SCALAR_TAG, scalar)
    Loader.add_constructor(Loader.DEFAULT_MAPPING_TAG, mapping)
    try:
        return yaml.load(data, Loader=Loader)  # noqa: S506 - makes nothing but texts, lists and dicts
    except (yaml.YAMLError, TypeError) as error:  # a TypeError when a mapping stands where a name is expected
        raise DocumentError(" ".join(str(error).split())) from None


def token_id(text: str) -> str:
    """A token's id, ``policy.name`` in hex, the second missing with the name; ValueError when it is none."""
    policy_hash, _, name = text.partition(".")
    if len(from_hex(policy_hash)) != 28:
        raise ValueError("invalid policy hash size")
    if len(from_hex(name)) > 32:
        raise ValueError(f"Token name can be no more that 32 bytes long; got {len(from_hex(name))} bytes")
    return text


def _one_of(names: Collection[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return " or ".join(quoted) if len(quoted) < 3 else f"one of {', '.join(quoted)}"


def _describe(value: Any) -> str:
    if isinstance(value, Plain):
        return f"word `{value}`"
    if isinstance(value, str):
        return f'string "{value}"'
    if value is None:
        return "unit value"
    return "sequence" if isinstance(value, Sequence) else "map"
