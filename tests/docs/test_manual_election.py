"""The page on the election by hand names functions that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "manual-election.md"


def named() -> list[tuple[str, str]]:
    """Each file that the last column of a table names, with each name in it."""
    found = []
    for line in PAGE.read_text().splitlines():
        if not line.startswith("|"):
            continue
        file = None
        for text in re.findall(r"`([^`]+)`", line.rsplit("|", 2)[1]):
            place = re.fullmatch(r"([\w/]+\.py): ([\w.]+)", text)
            if place:
                file = place[1]
            if file:
                found.append((file, place[2] if place else text))
    return found


@pytest.mark.parametrize(("file", "name"), named())
def test_what_the_page_names_is_there(file: str, name: str) -> None:
    source = (ROOT / ("" if file.startswith("states/") else "node_fsm") / file).read_text()
    for part in name.split("."):
        assert re.search(rf"^\s*(async def|def|class) {part}\b", source, re.MULTILINE), f"{file} has no {part}"


def test_every_row_says_where() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("|") and "---" not in line]
    headers = [row for row in rows if row == "| by hand | now | where |"]
    assert len(headers) == 4
    assert all(re.search(r"\w+\.py: ", row.rsplit("|", 2)[1]) for row in rows if row not in headers)


def test_it_can_be_found() -> None:
    assert "manual-election.md" in (ROOT / "mkdocs.yml").read_text()
