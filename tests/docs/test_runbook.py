"""The runbook has an entry for whatever the service may complain of, and for nothing else."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from node_fsm.core.conditions import ConditionType
from node_fsm.core.phases import Phase

ROOT = Path(__file__).parents[2]
REASON = re.compile(r"[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]*)+")
COMPLAINTS = ("Error", "raise_", "Exit", "Problem", "deadline", "__init__")
"""Ends of the names of what takes a reason."""

PAGE = (ROOT / "docs" / "runbook.md").read_text()


@cache
def module(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def nodes() -> Iterator[tuple[ast.Module, ast.AST]]:
    """Every syntax node of the service, with its module."""
    for package in ("node_fsm", "states"):
        for file in (ROOT / package).rglob("*.py"):
            yield from ((module(file), node) for node in ast.walk(module(file)))


def reasons() -> set[str]:
    """The words that begin an error or a condition: first or second of the arguments, or of a tuple that goes on."""
    found: set[str] = set()
    for of, node in nodes():
        if isinstance(node, ast.Call) and name_of(node.func).endswith(COMPLAINTS):
            candidates = node.args[:2]
        elif isinstance(node, ast.Tuple):
            candidates = node.elts[:-1][:2]
        else:
            continue
        found |= {text for candidate in candidates for text in texts(candidate, of) if REASON.fullmatch(text)}
    return found - set(Phase)


def texts(node: ast.AST, of: ast.Module) -> set[str]:
    """What a node may stand for: a literal, a constant of this or another module, either branch of a condition."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value}
    if isinstance(node, ast.IfExp):
        return texts(node.body, of) | texts(node.orelse, of)
    if isinstance(node, ast.JoinedStr):
        assert not REASON.match(texts_of(node)), f"a reason put together cannot be looked up: {ast.unparse(node)}"
    if not isinstance(node, ast.Name):
        return set()
    for statement in of.body:
        if isinstance(statement, ast.Assign) and node.id in map(name_of, statement.targets):
            return texts(statement.value, of)
        if isinstance(statement, ast.AnnAssign) and statement.value and name_of(statement.target) == node.id:
            return texts(statement.value, of)
        if isinstance(statement, ast.ImportFrom) and any(alias.name == node.id for alias in statement.names):
            file = ROOT / f"{(statement.module or '').replace('.', '/')}.py"
            return texts(node, module(file)) if file.exists() else set()
    return set()


def texts_of(joined: ast.JoinedStr) -> str:
    """The text at the beginning of an f-string, if it goes on without a space."""
    first = joined.values[0] if joined.values else None
    text = first.value if isinstance(first, ast.Constant) else ""
    return text if isinstance(text, str) and " " not in text else ""


def name_of(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def test_reasons_behind_constants_and_conditions_are_found() -> None:
    assert {"DatabaseReadOnly", "S3Unavailable", "NodeBootstrapping", "NodeUnavailable"} <= reasons()


def test_every_reason_has_an_entry_and_every_entry_a_reason() -> None:
    assert set(re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)) == reasons()


def test_every_condition_is_in_the_table_and_nothing_else() -> None:
    assert re.findall(r"^\| `([a-z0-9_]+)` \|", PAGE, re.MULTILINE) == sorted(ConditionType)
