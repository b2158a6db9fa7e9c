"""Text from elsewhere does nothing to the terminal that shows it."""

import pytest

from node_fsm.core.printable import printable


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
