"""How answers are printed: as YAML unless JSON is asked for, both with sorted keys, both as jcli spells them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from node_fsm_sandbox.jcli.arguments import Option
from node_fsm_sandbox.jcli.errors import CommandError

OPTION = Option("output-format", "format", default="yaml")

_QUOTED_START = tuple("&*?|-<>=!%@. ")
_QUOTED_ANYWHERE = frozenset(":{}[],#`\"'\\\t\n\r")
_QUOTED_WORDS = frozenset(
    spelling
    for word in ("yes", "no", "true", "false", "on", "off", "null")
    for spelling in (word, word.capitalize(), word.upper())
) | {"~"}


def formatted(answer: Any, output_format: str) -> str:
    """*answer*, made of what JSON has, in the format that `OPTION` names; CommandError when that is a template."""
    match output_format.strip().lower():
        case "yaml":
            return yaml_text(_sorted(answer))
        case "json":
            return json.dumps(answer, indent=2, sort_keys=True, ensure_ascii=False)
        case _:
            raise CommandError("formatting output failed", "the sandbox knows no templates, only yaml and json")


def yaml_text(document: Any) -> str:
    """*document* as YAML, mappings in their own order."""
    if isinstance(document, Mapping | list) and document:
        return "---\n" + "".join(f"{line}\n" for line in _lines(document))
    return f"---\n{_word(document)}\n"


def _lines(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if isinstance(value, Mapping | list) and value:
                yield f"{_word(key)}:"
                yield from (f"  {line}" for line in _lines(value))
            else:
                yield f"{_word(key)}: {_word(value)}"
    else:
        for value in node:
            lines = _lines(value) if isinstance(value, Mapping | list) and value else iter([_word(value)])
            yield f"- {next(lines)}"
            yield from (f"  {line}" for line in lines)


def _word(value: Any) -> str:
    match value:
        case None:
            return "~"
        case bool() | int() | float():
            return json.dumps(value)
        case str():
            return json.dumps(value, ensure_ascii=False) if _needs_quotes(value) else value
        case Mapping():
            return "{}"
        case _:
            return "[]"


def _needs_quotes(text: str) -> bool:
    return (
        not text
        or text.startswith((*_QUOTED_START, "0x"))
        or text.endswith(" ")
        or text in _QUOTED_WORDS
        or not _QUOTED_ANYWHERE.isdisjoint(text)
        or not text.isprintable()
        or _is_number(text)
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _sorted(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {key: _sorted(node[key]) for key in sorted(node)}
    if isinstance(node, list):
        return [_sorted(item) for item in node]
    return node
