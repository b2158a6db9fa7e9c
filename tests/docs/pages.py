"""The pages that people read, and what stands in them."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown.extensions.toc import slugify

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code in a page: its language, empty when none is said, its text, and the line that it begins in."""

    language: str
    text: str
    line: int


def pages() -> list[Path]:
    """Every page in the repository."""
    return sorted(
        [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md"), ROOT / "sandbox/README.md"]
    )


def name(page: Path) -> str:
    """What a page is called in messages."""
    return str(page.relative_to(ROOT))


@cache
def blocks(page: Path, section: str = "") -> tuple[Block, ...]:
    """The blocks of code of a page, or of a *section* of it, indentation of the block itself taken away."""
    text = page.read_text()
    start = text.index(f"\n## {section}\n") if section else 0
    end = text.find("\n## ", start + 1) if section else -1
    return tuple(
        Block(
            found[2], re.sub(rf"^{found[1]}", "", found[3], flags=re.MULTILINE), text.count("\n", 0, found.start()) + 1
        )
        for found in FENCE.finditer(text, start, end if end > 0 else len(text))
    )


@cache
def prose(page: Path) -> str:
    """A page without its blocks of code, with as many lines."""
    return FENCE.sub(lambda found: "\n" * found[0].count("\n"), page.read_text())


def spans(page: Path) -> list[str]:
    """What stands in code type within the text, each in one line."""
    return [" ".join(found.split()) for found in CODE.findall(prose(page))]


@cache
def anchors(page: Path) -> frozenset[str]:
    """What a link may name after the # of a page."""
    headings = re.findall(r"^#+ +(.+?)(?: +#+)?$", prose(page), re.MULTILINE)
    return frozenset(slugify(re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading), "-") for heading in headings)
