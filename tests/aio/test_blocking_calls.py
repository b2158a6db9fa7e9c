"""No coroutine of the service touches the disk itself: one that hangs must not hold up what else runs in the loop."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

BLOCKING_METHODS = frozenset(
    {
        *("exists", "is_file", "is_dir", "is_symlink", "stat", "resolve", "iterdir", "glob", "rglob"),
        *("open", "read_text", "read_bytes", "write_text", "write_bytes"),
        *("mkdir", "touch", "unlink", "rmdir", "rename", "rmtree", "copyfile", "disk_usage", "fsync"),
    }
)
BLOCKING_FUNCTIONS = frozenset({"open", "write_private", "make_private", "move", "sync_directory"})
BLOCKING_PROPERTIES = frozenset({"is_held"})
"""Of :class:`~node_fsm.storage.workspace.ChainDirectory`."""


def blocking(tree: ast.AST) -> Iterator[ast.expr]:
    """What coroutines in *tree* call themselves; what stands in a function inside is called where that is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef):
            for statement in node.body:
                yield from _blocking(statement)


def _blocking(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return
    if isinstance(node, ast.Call):
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in BLOCKING_METHODS:
            yield node
        if isinstance(function, ast.Name) and function.id in BLOCKING_FUNCTIONS:
            yield node
    if isinstance(node, ast.Attribute) and node.attr in BLOCKING_PROPERTIES:
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _blocking(child)


def test_blocking_calls_are_found() -> None:
    source = """
async def coroutine(path, chain):
    def inside():
        return path.exists()
    await in_thread(DISK, path.exists)
    await in_thread(DISK, lambda: chain.is_held)
    if path.exists() or chain.is_held:
        write_private(path, b"")
"""
    found = [ast.unparse(node) for node in blocking(ast.parse(source))]
    assert found == ["path.exists()", "chain.is_held", "write_private(path, b'')"]


def test_no_coroutine_touches_the_disk() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"
        for package in ("node_fsm", "states")
        for file in sorted((ROOT / package).rglob("*.py"))
        if file.parts[len(ROOT.parts) + 1] != "cli"  # a command has nothing else to do
        for node in blocking(ast.parse(file.read_text()))
    ]
    assert found == [], "call it through aio.threads.in_thread"
