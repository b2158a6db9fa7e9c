"""A database of the test's own."""

from tests.support.databases import database, sql

__all__ = ["database", "sql"]
