"""Text that is shown to people, without what a terminal would obey instead of showing it, and in few words."""

import shlex
from reprlib import Repr

_OBEYED = (
    *range(0x20),  # C0 controls
    *range(0x7F, 0xA0),  # DEL and C1 controls
    *range(0x2028, 0x202F),  # separators of lines; what turns the direction of writing
    *range(0x2066, 0x206A),
)
_ESCAPES = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _OBEYED if chr(code) not in "\n\t"}

_SHORT = Repr()
_SHORT.maxlevel = 2
_SHORT.maxstring = _SHORT.maxother = 60


def shortened(value: object) -> str:
    """What *value* is, in a line, however much there is in it."""
    try:
        return _SHORT.repr(value)
    except ValueError:
        return "a number of thousands of digits"


def printable(text: str) -> str:
    """*text* with escapes for control characters, turns of direction and lone surrogates; lines and tabs stay."""
    return text.translate(_ESCAPES).encode(errors="backslashreplace").decode()


def one_line(text: str) -> str:
    """*text* with escapes for line breaks and tabs as well, so that it begins no line that looks like another's."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def argument(name: str) -> str:
    """*name* as a shell takes it for one argument, for a command that a person is told to run."""
    return shlex.quote(name)
