"""What the project says it needs is what it needs: Python 3.11.2, the one of Debian bookworm.

ruff refuses the syntax and mypy the library of later minor versions, once they are told of the oldest. What came within
3.11 neither of them knows; it is looked for here. Whatever else is new shows when the tests run on the oldest.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OLDEST = (3, 11, 2)
NEWER_NAMES = {"data_filter", "tar_filter", "fully_trusted_filter", "extraction_filter", "FilterError"}
"""Of tarfile, which has them since 3.11.4."""
NEWER_ARGUMENTS = {"extract": "filter", "extractall": "filter", "unpack_archive": "filter", "getaddresses": "strict"}


def sources() -> list[Path]:
    folders = ("node_fsm", "states", "sandbox", "tests", "benchmarks", "deploy")
    return [path for folder in folders for path in (ROOT / folder).rglob("*.py")]


def newer(tree: ast.AST) -> Iterator[str]:
    """What in *tree* 3.11.2 does not have, or does otherwise, with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) | ast.alias(name=name) if name in NEWER_NAMES:
                yield f"line {node.lineno}: {name}"
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name), keywords=keywords):
                if NEWER_ARGUMENTS.get(name) in {keyword.arg for keyword in keywords} - {None}:
                    yield f"line {node.lineno}: {name}({NEWER_ARGUMENTS[name]}=)"
            case ast.ClassDef(bases=bases) if any("Enum" in ast.unparse(base) for base in bases):
                for member in node.body:
                    if isinstance(member, ast.Assign) and ast.unparse(member.value) == "()":
                        yield f"line {member.lineno}: a member of an enum that is (), which becomes an object()"


def test_everyone_is_told_of_the_same_oldest_python() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    sandbox = tomllib.loads((ROOT / "sandbox" / "pyproject.toml").read_text())
    full, minor = ".".join(map(str, OLDEST)), ".".join(map(str, OLDEST[:2]))
    assert project["project"]["requires-python"] == sandbox["project"]["requires-python"] == f">={full}"
    assert project["tool"]["mypy"]["python_version"] == minor
    assert project["tool"]["ruff"]["target-version"] == f"py{minor.replace('.', '')}"
    makefile = (ROOT / "Makefile").read_text()
    assert f"sys.version_info < {OLDEST}" in makefile
    assert f"--python-version {full} " in makefile
    for page in ("Makefile", "README.md", "Containerfile", "docs/container.md"):
        assert set(re.findall(r"Python ([\d.]+\d) or later", (ROOT / page).read_text())) == {full}, page


def test_nothing_newer_is_used() -> None:
    found = {str(path.relative_to(ROOT)): list(newer(ast.parse(path.read_text()))) for path in sources()}
    assert len(found) > 100
    assert {path: uses for path, uses in found.items() if uses} == {}


@pytest.mark.parametrize(
    "source",
    [
        "tarfile.open(path).extractall(directory, filter='data')",
        "unpack_archive(path, filter='data')",
        "from tarfile import data_filter",
        "tarfile.data_filter(member, path)",
        "email.utils.getaddresses(headers, strict=False)",
        "class Local(Enum):\n    NOTHING = ()",
    ],
)
def test_what_is_newer_is_found(source: str) -> None:
    assert len(list(newer(ast.parse(source)))) == 1


def test_what_is_as_old_is_not_found() -> None:
    source = "class Local(Enum):\n    NOTHING = (0,)\ntarfile.open(path).extractall(directory)\nfilter(None, parts)"
    assert list(newer(ast.parse(source))) == []
