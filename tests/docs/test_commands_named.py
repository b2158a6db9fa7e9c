"""Every command line that a page or a message tells people to type is one that the command line takes."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from node_fsm.cli import app
from tests.docs.pages import ROOT, blocks, name, pages, spans

COMMAND = get_command(app)
SHELL = {"sh", "bash", ""}
PUNCTUATION = ";&|<>()"
VARIABLE = re.compile(r"\$\([^()]*\)|\$\{?\w+\}?")
LISTED = re.compile(r"^([\w -]+?)((?:, \w+| \| \w+)+)$")
"""Several commands of a group in one breath: ``election list | show``, ``committee keygen, check``."""


def command_lines(text: str) -> Iterator[list[str]]:
    """The arguments of each ``node-fsm`` in a shell script, with what the shell would put in taken as a word."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(VARIABLE.sub("VALUE", line), posix=True, punctuation_chars=PUNCTUATION)
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:  # a part of a text that goes on for several lines
            continue
        for start in [
            index for index, word in enumerate(words) if word == "node-fsm" and begins_a_command(words, index)
        ]:
            end = next(
                (index for index in range(start, len(words)) if set(words[index]) <= set(PUNCTUATION)), len(words)
            )
            yield words[start + 1 : end]


def begins_a_command(words: list[str], index: int) -> bool:
    """Whether the word there is a program, and not another's argument or the beginning of what one prints."""
    before = words[:index]
    return (
        not before
        or set(before[-1]) <= set(";&|(")
        or before[-1] in {"then", "do", "exec", "sudo"}
        or "=" in before[-1]
    )


def complaint(arguments: list[str], *, whole: bool) -> str | None:
    """Why the command line does not take these; None when it does. Unless *whole*, parameters may be missing."""
    command: Any = COMMAND
    context = None
    while True:
        is_group = hasattr(command, "commands")
        try:
            context = command.make_context(command.name or "node-fsm", list(arguments), parent=context)
        except typer.Exit:
            return None  # --version and --help
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            said = type(error).__name__
            if said in {"MissingParameter", "BadOptionUsage"} and not whole:
                return None
            if said == "NoArgsIsHelpError":
                return "is a group of commands" if whole else None
            if said == "BadParameter" and "does not exist" in str(error):
                return None
            return f"{said}: {error}"
        if not is_group:
            return None
        arguments = [*context._protected_args, *context.args]
        if not arguments:
            return None if not whole else "is a group of commands"
        command = command.commands.get(arguments.pop(0))
        if command is None:
            return "there is no such command"


def readable(span: str) -> list[list[str]]:
    """The command lines that words in code type stand for: one for each that is listed."""
    text = re.sub(r"\[[^]]*\]", "", span.removeprefix("node-fsm")).replace("…", "")
    if listed := LISTED.match(text):
        first = listed[1].split()
        return [first, *([*first[:-1], other] for other in re.findall(r"\w+", listed[2]))]
    try:
        return [shlex.split(text)]
    except ValueError:
        return [text.split()]


@pytest.mark.parametrize("page", pages(), ids=name)
def test_every_command_of_a_page_is_one(page: Path) -> None:
    wrong = [
        f"line {block.line}: node-fsm {shlex.join(arguments)}: {why}"
        for block in blocks(page)
        if block.language in SHELL
        for arguments in command_lines(block.text)
        if (why := complaint(arguments, whole=True))
    ]
    wrong += [
        f"`{span}`: {why}"
        for span in spans(page)
        if span.startswith("node-fsm ")
        for arguments in readable(span)
        if (why := complaint(arguments, whole=False))
    ]
    assert wrong == []


def test_every_command_that_a_message_names_is_one() -> None:
    wrong: list[str] = []
    for path in [*(ROOT / "node_fsm").rglob("*.py"), *(ROOT / "states").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            for span in re.findall(r"`(node-fsm [^`]+)`", text):
                wrong += [
                    f"{path.relative_to(ROOT)}: `{span}`: {why}"
                    for arguments in readable(" ".join(span.split()))
                    if (why := complaint(arguments, whole=False))
                ]
    assert wrong == []


def test_there_are_commands_to_look_at() -> None:
    found = [arguments for page in pages() for block in blocks(page) for arguments in command_lines(block.text)]
    assert ["run"] in found
    assert ["committee", "post", "shares.json"] in found


@pytest.mark.parametrize(
    ("line", "is_right"),
    [
        ("node add HOST --leader-id ed25519_pk1…", True),
        ("node add", False),
        ("node add HOST --leader ed25519_pk1…", False),
        ("node rename HOST", False),
        ("election", False),
        ("election import election.yaml", False),
        ("election import election.yaml --voters voters.csv", True),
        ("--version", True),
    ],
)
def test_what_is_not_taken_is_found(line: str, is_right: bool) -> None:
    assert (complaint(line.split(), whole=True) is None) is is_right


def test_commands_are_found_in_scripts() -> None:
    script = """
        X=1 node-fsm run &
        id=$(true) && node-fsm node add "$(hostname)" \\
            --leader-id "$id" > log
        node-fsm verify s3://archive/1 # the last
        echo node-fsm demo
    """
    assert list(command_lines(script)) == [
        ["run"],
        ["node", "add", "VALUE", "--leader-id", "VALUE"],
        ["verify", "s3://archive/1"],
    ]
