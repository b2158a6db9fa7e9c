"""Links between pages, and from the code to them, lead somewhere."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.docs.pages import ROOT, anchors, name, pages, prose

LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)")
INCLUDED = re.compile(r'{% include-markdown "([^"]+)"')
NAMED = re.compile(
    r"\b((?:docs|deploy|sandbox)/[\w./-]+\.md|(?:README|CHANGELOG|SECURITY|CONTRIBUTING)\.md)(?:#([\w-]+))?"
)
RUNBOOK = re.compile(r"\brunbook(?:\.md|\.html|/)?#([\w-]+)")
CODE = (
    "*.py",
    "*.yaml",
    "*.yml",
    "*.json",
    "*.html",
    "*.toml",
    "*.conf",
    "*.service",
    "*.tpl",
    "Makefile",
    "Containerfile",
)
FOLDERS = ("node_fsm", "states", "sandbox", "deploy", "benchmarks", "tests", ".ci")


def sources() -> list[Path]:
    """The files that are no pages and may name one."""
    top = [path for pattern in CODE for path in ROOT.glob(pattern)]
    return top + [path for folder in FOLDERS for pattern in CODE for path in (ROOT / folder).rglob(pattern)]


def fault(page: Path, target: str) -> str | None:
    """What is wrong with a link in *page*; None when it leads to a file, and to a heading if it names one."""
    parts = urlsplit(target)
    if parts.scheme in {"http", "https", "mailto"}:
        return None
    file = (page.parent / parts.path).resolve() if parts.path else page
    if not file.exists():
        return f"{target}: there is no such file"
    if not file.is_relative_to(ROOT):
        return f"{target}: leads out of the repository"
    if parts.fragment and parts.fragment not in anchors(included(file)):
        return f"{target}: there is no such heading"
    return None


def included(page: Path) -> Path:
    """The page that a page of the site consists of, or itself."""
    found = INCLUDED.search(page.read_text())
    return page.parent / found[1] if found else page


@pytest.mark.parametrize("page", pages(), ids=name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    text = prose(page)
    targets = LINK.findall(re.sub(r"`[^`\n]*`", "", text)) + INCLUDED.findall(text)
    assert [wrong for target in targets if (wrong := fault(page, target))] == []


def test_every_page_that_the_code_names_is_there() -> None:
    assert [
        f"{path.relative_to(ROOT)}: {found[0]}"
        for path in sources()
        for found in NAMED.finditer(path.read_text())
        if not (ROOT / found[1]).exists() or (found[2] and found[2] not in anchors(ROOT / found[1]))
    ] == []


def test_every_heading_of_the_runbook_that_the_code_links_to_is_there() -> None:
    known = anchors(ROOT / "docs" / "runbook.md")
    assert [
        f"{path.relative_to(ROOT)}: {heading}"
        for path in sources()
        for heading in RUNBOOK.findall(path.read_text())
        if heading not in known and path != Path(__file__)
    ] == []


@pytest.mark.parametrize(
    ("target", "is_right"),
    [
        ("runbook.md#storagelost", True),
        ("#a-tour", False),
        ("#the-idea", True),
        ("../README.md", True),
        ("no-page.md", False),
        ("runbook.md#no-heading", False),
        ("../../elsewhere", False),
        ("https://example.org/page", True),
    ],
)
def test_what_leads_nowhere_is_found(target: str, is_right: bool) -> None:
    assert (fault(ROOT / "docs" / "design.md", target) is None) is is_right
