"""The runbook has an entry for whatever the service may complain of, and for nothing else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from node_fsm.core.conditions import ConditionType
from node_fsm.core.phases import Phase

ROOT = Path(__file__).parents[2]
REASON = re.compile(r"[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]*)+")
COMPLAINTS = ("Error", "Exit", "__init__", "deadline", "raise_")
"""Ends of the names of what takes a reason."""

PAGE = (ROOT / "docs" / "runbook.md").read_text()


def nodes() -> Iterator[tuple[ast.Module, ast.AST]]:
    """Every syntax node of the service, with its module."""
    for package in ("node_fsm", "states"):
        for file in (ROOT / package).rglob("*.py"):
            if "sandbox" not in file.parts:
                module = ast.parse(file.read_text())
                yield from ((module, node) for node in ast.walk(module))


def reasons() -> set[str]:
    """The words that begin an error or a condition: first or second of the arguments, or of a tuple that goes on."""
    found = set()
    for _, node in nodes():
        if isinstance(node, ast.Call) and name_of(node.func).endswith(
            ("Error", "raise_", "Exit", "Problem", "deadline", "__init__")
        ):
            found |= {text for text in map(constant, node.args[:2]) if REASON.fullmatch(text)}
        elif isinstance(node, ast.Tuple):
            found |= {text for text in map(constant, node.elts[:-1][:2]) if REASON.fullmatch(text)}
    return found - set(Phase)


def name_of(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def constant(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def test_every_reason_has_an_entry_and_every_entry_a_reason() -> None:
    assert set(re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)) == reasons()


def test_every_condition_is_in_the_table_and_nothing_else() -> None:
    assert re.findall(r"^\| `([a-z0-9_]+)` \|", PAGE, re.MULTILINE) == sorted(ConditionType)
