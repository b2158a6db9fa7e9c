"""YAML as plain texts, each with its place in the file, so that a person is told where to look. Pure.

Nothing is guessed from how a value looks: ``yes`` stays a text, and so do ``0x12`` and ``2026``. Only an empty value,
``~`` and ``null`` without quotes mean that there is none.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from node_fsm.block0.checks.problem import Path

_NONE = ("", "~", "null", "Null", "NULL")
_DEEPEST = 10

_HINTS = (
    ("mapping values are not allowed", 'put a text that has ": " in it in quotes'),
    (r"'\\t' that cannot start any token", "write blanks, not tabs"),
    ("cannot start any token", "put a text that begins with this character in quotes"),
    ("(sequence entries|mapping keys) are not allowed", "put a text that begins with - or ? in quotes"),
    ("expected a comment or a line break", "put a text that begins with | or > in quotes"),
    ("unexpected end of stream", "the quote that begins here is not closed"),
    ("expected alphabetic or numeric character", "put a text that begins with * or & in quotes"),
    ("escape (character|sequence)", "write the backslash twice, or put the text in single quotes"),
    (
        "expected <block end>",
        "compare the indentation; put all of a text in quotes that goes on after a quote, ] or }",
    ),
    ("expected ',' or '[]}]'", "close the bracket; put a text that has brackets, commas or # in it in quotes"),
    ("could not find expected ':'", "write name: value; indent what goes on from the line above"),
)
"""What in the parser's words, and what people have mostly done there."""


@dataclass(frozen=True, slots=True)
class Located:
    """A document of dicts, lists, texts and None, and the line and column (from 1) of every value in it.

    *comments* are those that follow a value without quotes in its line.
    """

    value: Any
    places: dict[Path, tuple[int, int]]
    comments: dict[Path, str]

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
        _refuse_what_is_not_written(text)
        node = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        raise _explained(error) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise YamlError(f"character {chr(error.character)!r} is not allowed; remove it", line, column) from None
    reading = _Reading(text)
    return Located(None if node is None else reading.value(node, ()), reading.places, reading.comments)


def _explained(error: yaml.MarkedYAMLError) -> YamlError:
    problem = error.problem or error.context or "cannot be read"
    hint = next((hint for words, hint in _HINTS if re.search(words, problem)), None)
    unclosed = "unexpected end of stream" in problem and error.context_mark
    mark = unclosed or error.problem_mark or error.context_mark
    said = f"{problem}; {hint}" if hint else problem
    return YamlError(said, mark.line + 1 if mark else 1, mark.column + 1 if mark else 1)


def _refuse_what_is_not_written(text: str) -> None:
    """Refuse what stands for something else, and what makes a short text a large or deep document, before it is built.

    A text that begins with one of these signs and no quotes would silently lose its first word.
    """
    depth = 0
    for event in yaml.parse(text, Loader=yaml.BaseLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        problem = None
        if isinstance(event, yaml.AliasEvent):
            problem = "write the value itself, not an alias; put a text that begins with * in quotes"
        elif depth > _DEEPEST:
            problem = "is nested too deeply"
        elif anchor := getattr(event, "anchor", None):
            problem = f"&{anchor} would be taken for an anchor; put a text that begins with & in quotes"
        elif tag := getattr(event, "tag", None):
            problem = f"{tag} would be taken for a tag; put a text that begins with ! in quotes"
        if problem:
            mark = event.start_mark
            raise YamlError(problem, mark.line + 1 if mark else 1, mark.column + 1 if mark else 1)


def path_text(path: Path) -> str:
    """A path as people write it: ``objectives[0].title``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


class _Reading:
    """Makes plain values of nodes, and notes what else there is to know of each."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.places: dict[Path, tuple[int, int]] = {}
        self.comments: dict[Path, str] = {}

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.places[path] = _place(node)
        if isinstance(node, yaml.MappingNode):
            return dict(self._entries(node, path))
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.style is not None:
            return node.value
        if comment := re.compile(r"[ \t]+(#.*)").match(self._text, node.end_mark.index):
            self.comments[path] = comment[1]
        return None if node.value in _NONE else node.value

    def _entries(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        seen = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise YamlError("a key must be a text", *_place(key))
            if key.value in seen:
                raise YamlError(f"{key.value} is given twice", *_place(key))
            seen.add(key.value)
            yield key.value, self.value(value, (*path, key.value))


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
