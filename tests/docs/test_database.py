"""The page of the schema names every table and every column, and nothing that is not there."""

import re
from pathlib import Path

from node_fsm.database import tables

PAGE = (Path(__file__).parents[2] / "docs" / "database.md").read_text()
COLUMNS = PAGE.partition("## Columns")[2].partition("## ")[0]


def described() -> dict[str, set[str]]:
    """By table, the words in code type of its entry."""
    entries = re.findall(r"^`(\w+)`\n: (.*?)(?:\n\n|\Z)", COLUMNS, re.MULTILINE | re.DOTALL)
    return {table: set(re.findall(r"`(\w+)`", entry)) for table, entry in entries}


def test_every_table_is_in_the_overview() -> None:
    rows = re.findall(r"^\| (`.*?) \|", PAGE.partition("## Columns")[0], re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(tables.metadata.tables)


def test_every_column_is_described() -> None:
    entries = described()
    assert entries.keys() == set(tables.metadata.tables)
    for table in tables.metadata.tables.values():
        columns = {column.name for column in table.columns}
        assert columns <= entries[table.name], f"{table.name} lacks {columns - entries[table.name]}"
        assert entries[table.name] - columns <= {"block0"}, f"{table.name} has no {entries[table.name] - columns}"
