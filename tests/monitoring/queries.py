"""What a PromQL query names, read without a parser: Python has none that is kept."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_SELECTOR = re.compile(r"([a-zA-Z_][\w:]*)\{([^}]*)\}")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_BRACKETS = re.compile(r'\{[^}]*\}|\[[^\]]*\]|"[^"]*"')
_NAME = re.compile(r"(?<![\w.$])[a-zA-Z_][\w:]*\b(?!\s*\()")
_WORDS = {"and", "or", "unless", "bool", "offset", "on", "by", "group_left", "group_right", "inf"}


class Matcher(NamedTuple):
    """One comparison of a label in a selector of a metric; *values* are those that it names, without variables."""

    metric: str
    label: str
    values: tuple[str, ...]


def metrics(query: str) -> set[str]:
    """The metrics that a query reads."""
    return set(_NAME.findall(_BRACKETS.sub("", _GROUPING.sub("", query)))) - _WORDS


def matchers(query: str) -> Iterator[Matcher]:
    """How a query chooses its series."""
    for metric, selector in _SELECTOR.findall(query):
        for label, operator, value in _MATCHER.findall(selector):
            named = value.split("|") if "~" in operator else [value]
            yield Matcher(metric, label, tuple(each for each in named if each and "$" not in each))


def grouping(query: str) -> set[str]:
    """The labels by which a query puts series together."""
    return {label.strip() for labels in _GROUPING.findall(query) for label in labels.split(",") if label.strip()}
