"""YAML as plain texts, each with its place in the file, so that a person is told where to look. Pure.

Nothing is guessed from how a value looks: ``yes`` stays a text, and so do ``0x12`` and ``2026``. Only an empty value,
``~`` and ``null`` without quotes mean that there is none.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

Path = tuple[str | int, ...]
"""How to reach a value from the top: keys and positions."""

_NONE = ("", "~", "null", "Null", "NULL")
_DEEPEST = 10


@dataclass(frozen=True, slots=True)
class Located:
    """A document of dicts, lists, texts and None, and the line and column (from 1) of every value in it."""

    value: Any
    places: dict[Path, tuple[int, int]]

    def place(self, path: Path) -> tuple[int, int]:
        """Where the value at *path* stands, or the nearest one around it when there is none."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (1, 1))


class YamlError(ValueError):
    """The text is not YAML, or uses what is not supported; *line* and *column* count from 1."""

    def __init__(self, problem: str, line: int, column: int) -> None:
        super().__init__(problem)
        self.line = line
        self.column = column


def read_yaml(text: str) -> Located:
    """Read one document; YamlError when that is not possible."""
    try:
        _refuse_unbounded(text)
        node = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "cannot be read"
        raise YamlError(problem, mark.line + 1 if mark else 1, mark.column + 1 if mark else 1) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlError(f"character {error.character!r} is not allowed", line, 1) from None
    places: dict[Path, tuple[int, int]] = {}
    return Located(None if node is None else _value(node, (), places), places)


def _refuse_unbounded(text: str) -> None:
    """Refuse what makes a short text a large document or a deep one, before it is built."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.BaseLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        alias = isinstance(event, yaml.AliasEvent)
        if alias or depth > _DEEPEST:
            mark = event.start_mark
            problem = "write the value itself, not an alias" if alias else "is nested too deeply"
            raise YamlError(problem, mark.line + 1 if mark else 1, mark.column + 1 if mark else 1)


def path_text(path: Path) -> str:
    """A path as people write it: ``objectives[0].title``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _value(node: yaml.Node, path: Path, places: dict[Path, tuple[int, int]]) -> Any:
    places[path] = _place(node)
    if isinstance(node, yaml.MappingNode):
        return dict(_entries(node, path, places))
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, index), places) for index, item in enumerate(node.value)]
    unquoted = isinstance(node, yaml.ScalarNode) and node.style is None
    return None if unquoted and node.value in _NONE else node.value


def _entries(node: yaml.MappingNode, path: Path, places: dict[Path, tuple[int, int]]) -> Iterator[tuple[str, Any]]:
    seen = set()
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise YamlError("a key must be a text", *_place(key))
        if key.value in seen:
            raise YamlError(f"{key.value} is given twice", *_place(key))
        seen.add(key.value)
        yield key.value, _value(value, (*path, key.value), places)


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
