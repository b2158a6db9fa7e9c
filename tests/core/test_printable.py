"""Text from elsewhere does nothing to the terminal that shows it."""

import shlex

import pytest

from node_fsm.core.printable import argument, one_line, printable, shortened


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Fund 1, Größe, 基金", "Fund 1, Größe, 基金"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b]0;title\x07\x1b[2J", "\\x1b]0;title\\x07\\x1b[2J"),
        ("\x9b31m\x7f\r", "\\x9b31m\\x7f\\x0d"),
        ("yes\u202eon\u2066", "yes\\u202eon\\u2066"),
        ("a\u2028b", "a\\u2028b"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_what_must_be_one_line_is() -> None:
    assert one_line("Fund 1\n2030-01-01 forged\t\x1b[2J") == "Fund 1\\n2030-01-01 forged\\t\\x1b[2J"


@pytest.mark.parametrize("name", ["leader0", "Fund 1", "it's", "x; rm -rf ~", "$(id)", ""])
def test_a_name_in_a_command_is_one_argument(name: str) -> None:
    assert shlex.split(f"node-fsm node remove {argument(name)}")[3:] == [name]
    assert argument("leader0") == "leader0"


def test_much_is_said_in_few_words() -> None:
    deep: list[object] = []
    for _ in range(20):
        deep = [deep] * 10
    for value in ("x" * 10**6, 10**6000, deep, {"a" * 1000: deep}):
        assert len(shortened(value)) < 500
    assert shortened("short") == "'short'"
