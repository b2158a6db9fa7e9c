"""Reading a command's arguments the way jcli does, whose parser differs from argparse in what scripts rely on.

Options and arguments may stand in any order, options are never abbreviated, an option that takes several values
takes all that follow up to the next option or ``--``, wrong usage ends with code 1, and its first line is jcli's.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from node_fsm_sandbox.jcli.errors import UsageError

Values = dict[str, Any]


class Option(NamedTuple):
    """An option ``--name <value>``, or a flag when *value* is empty; *key* is its name among the values read.

    *convert* raises ValueError with what is wrong. An option of *many* values gives a list.
    """

    name: str
    value: str = ""
    convert: Callable[[str], Any] = str
    short: str = ""
    default: str | None = None
    required: bool = False
    many: bool = False

    @property
    def key(self) -> str:
        return self.name.replace("-", "_")

    @property
    def shown(self) -> str:
        value = f" <{self.value}>" if self.value else ""
        return f"--{self.name}{value}{'...' * self.many}"


class Argument(NamedTuple):
    """An argument known by its position; *name* is as jcli shows it. Only the last one can be of *many* values."""

    name: str
    convert: Callable[[str], Any] = str
    required: bool = False
    many: bool = False

    @property
    def key(self) -> str:
        return self.name.lower().replace("-", "_")

    @property
    def shown(self) -> str:
        return f"<{self.name}>{'...' * self.many}"


class Command(NamedTuple):
    """A command: what to do with the values read, and the options and arguments that give them."""

    run: Callable[[Values], None]
    parameters: tuple[Option | Argument, ...] = ()

    def read(self, path: Sequence[str], words: Sequence[str]) -> Values:
        """The values in *words*, which follow the command's own words *path*; UsageError."""
        usage = f"jcli {' '.join(path)}{''.join(f' {_usage(parameter)}' for parameter in self.parameters)}"
        found = _gather(self.parameters, words, usage)
        missing = [parameter.shown for parameter in self.parameters if parameter.required and parameter not in found]
        if missing:
            raise UsageError("\n    ".join(["The following required arguments were not provided:", *missing]), usage)
        return {parameter.key: _convert(parameter, found.get(parameter)) for parameter in self.parameters}


def _gather(
    parameters: Sequence[Option | Argument], words: Sequence[str], usage: str
) -> dict[Option | Argument, list[str]]:
    """The texts given for each of *parameters*."""
    arguments = [parameter for parameter in parameters if isinstance(parameter, Argument)]
    found: dict[Option | Argument, list[str]] = {}
    greedy: Option | None = None
    options_end = False
    rest = iter(words)
    for word in rest:
        if word == "--" and not options_end:
            options_end, greedy = True, None
        elif word.startswith("-") and word != "-" and not options_end:
            option, value = _option(parameters, word, usage)
            if option in found and not option.many:
                message = (
                    f"The argument '{option.shown}' was provided more than once, but cannot be used multiple times"
                )
                raise UsageError(message, usage)
            texts = found.setdefault(option, [])
            if option.value:
                texts.append(_value(option, rest, parameters, usage) if value is None else value)
            greedy = option if option.many else None
        elif greedy:
            found[greedy].append(word)
        else:
            free = next((argument for argument in arguments if argument not in found or argument.many), None)
            if free is None:
                raise _unexpected(word, usage)
            found.setdefault(free, []).append(word)
    return found


def _option(parameters: Sequence[Option | Argument], word: str, usage: str) -> tuple[Option, str | None]:
    """The option that *word* begins, and the value that stands in the same word."""
    options = [parameter for parameter in parameters if isinstance(parameter, Option)]
    if word.startswith("--"):
        name, equals, value = word.removeprefix("--").partition("=")
        for option in options:
            if option.name == name:
                return option, value if equals else None
    else:
        for option in options:
            if option.short == word[1]:
                return option, word[2:].removeprefix("=") or None
    raise _unexpected(word.partition("=")[0], usage)


def _value(option: Option, rest: Iterator[str], parameters: Sequence[Option | Argument], usage: str) -> str:
    value = next(rest, None)
    if value is not None and value.startswith("-") and value != "-":
        _option(parameters, value, usage)
        value = None
    if value is None:
        raise UsageError(f"The argument '{option.shown}' requires a value but none was supplied", usage)
    return value


def _convert(parameter: Option | Argument, texts: list[str] | None) -> Any:
    if isinstance(parameter, Option):
        if not parameter.value:
            return texts is not None
        if texts is None and parameter.default is not None:
            texts = [parameter.default]
    try:
        converted = [parameter.convert(text) for text in texts or ()]
    except ValueError as error:
        raise UsageError(f"Invalid value for '{parameter.shown}': {error}") from None
    if parameter.many:
        return converted
    return converted[0] if converted else None


def _unexpected(word: str, usage: str) -> UsageError:
    return UsageError(f"Found argument '{word}' which wasn't expected, or isn't valid in this context", usage)


def _usage(parameter: Option | Argument) -> str:
    return parameter.shown if parameter.required else f"[{parameter.shown}]"
