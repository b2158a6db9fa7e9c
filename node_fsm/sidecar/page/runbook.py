"""The runbook as it comes with the package, so that links to it work where nothing else is reached."""

import itertools
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it.token import Token

_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_CONDITION = re.compile(r"^\| `([a-z0-9_]+)` \|", re.MULTILINE)


def packaged_runbook() -> Path:
    """Inside the package as installed, among the documents in a checkout."""
    package = Path(__file__).parents[2]
    installed = package / "runbook.md"
    return installed if installed.exists() else package.parent / "docs" / installed.name


def anchors(markdown: str) -> dict[str, str]:
    """The fragment of each entry, by the reason or the type of a condition that it is about."""
    headings = {heading: slug(heading) for heading in _HEADING.findall(markdown)}
    return headings | {type_: type_ for type_ in _CONDITION.findall(markdown)}


def slug(heading: str) -> str:
    """The fragment of a heading, the same as on the documentation's site."""
    return re.sub(r"[^\w]+", "-", heading.lower()).strip("-")


@cache
def as_html(markdown: str) -> str:
    """The runbook's entries, each with its fragment. Links to other documents, which are not here, become text.

    Made once: it takes a good part of a second, which nobody may take from the service again and again.
    """
    from markdown_it import MarkdownIt  # noqa: PLC0415 - nothing else needs it, and few ever ask

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    named: set[str] = set()
    for token, following in itertools.pairwise(tokens):
        if token.type == "heading_open":
            fragment = slug(following.content)
        elif token.type == "td_open" and (type_ := re.fullmatch(r"`([a-z0-9_]+)`", following.content)):
            fragment = type_[1]
        else:
            fragment = ""
        if fragment and fragment not in named:  # the first of a name is the one that is meant
            named.add(fragment)
            token.attrSet("id", fragment)
        if following.children:
            following.children = list(_here(following.children))
    return str(parser.renderer.render(tokens, parser.options, {}))


def _here(tokens: "Iterable[Token]") -> "Iterator[Token]":
    """*tokens* without the links that lead elsewhere."""
    leaves = False
    for token in tokens:
        if token.type == "link_open":
            leaves = not str(token.attrGet("href")).startswith("#")
        if not (leaves and token.type in {"link_open", "link_close"}):
            yield token
