"""Finding the command that the words of a command line name, and running it."""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

from node_fsm_sandbox.jcli.arguments import Command, Option, Values
from node_fsm_sandbox.jcli.errors import CommandError, PanicError, UsageError
from node_fsm_sandbox.jcli.files import say

VERSION = "0.13.0"

Group = Mapping[str, "Command | Group | str"]
"""Commands by their word; a text names the ``module`` of this package that has more of them in ``COMMANDS``, or
the ``module:NAME`` of a single one."""

COMMANDS: Group = {
    "address": "addresses",
    "certificate": "certificates",
    "genesis": {
        "decode": "genesis_decode:DECODE",
        "encode": "genesis_encode:COMMAND",
        "hash": "genesis_decode:HASH",
        "init": "genesis_init:COMMAND",
    },
    "key": "keys",
    "rest": "rest",
    "transaction": "transactions",
    "utils": {"bech32-convert": "bech32_convert:COMMAND"},
    "votes": "votes",
}
_HELP = ("-h", "--help", "help")
_VERSION = ("-V", "--version")


def main() -> None:
    """The console script ``sandbox-jcli``."""
    sys.exit(_report(sys.argv[1:]))


def _report(words: Sequence[str]) -> int:
    """Run the command line *words* and say how it ended; returns the exit code."""
    try:
        _run(words)
    except UsageError as error:
        usage = f"\n\nUSAGE:\n    {error.usage}\n\nFor more information try --help" if error.usage else ""
        _complain(f"error: {error.message}{usage}")
        return 1
    except CommandError as error:
        _complain("\n  |-> ".join([error.message, *error.causes]))
        return 1
    except PanicError as error:
        _complain(f"\nthread 'main' ({os.getpid()}) panicked in the sandbox:\n{error}")
        return 101
    except BrokenPipeError:
        sys.stdout = None  # nobody reads it: do not fail again when it is flushed
        return 1
    return 0


def _complain(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _run(words: Sequence[str]) -> None:
    if words and words[0] == "--full-version":
        say(f"jcli {VERSION} (sandbox)")
        return
    if words and words[0] == "--source-version":
        say("sandbox")
        return
    if not words:
        raise CommandError("No command, try `--help'")
    commands: Command | Group | str = COMMANDS
    path: list[str] = []
    while not isinstance(commands, Command):
        if isinstance(commands, str):
            module, _, name = commands.partition(":")
            commands = getattr(import_module(f"node_fsm_sandbox.jcli.{module}"), name or "COMMANDS")
            continue
        rest = words[len(path) :]
        if not rest:
            raise CommandError(_help(path, commands))
        if rest[0] in _HELP + _VERSION:
            say(_help(path, commands) if rest[0] in _HELP else _title(path))
            return
        if rest[0] not in commands:
            message = f"Found argument '{rest[0]}' which wasn't expected, or isn't valid in this context"
            raise UsageError(message, f"jcli {''.join(f'{word} ' for word in path)}<SUBCOMMAND>")
        path.append(rest[0])
        commands = commands[rest[0]]
    _run_command(commands, path, words[len(path) :])


def _run_command(command: Command, path: Sequence[str], words: Sequence[str]) -> None:
    # The commands that take -h for --host are helped by --help only.
    own = {f"-{item.short}" for item in command.parameters if isinstance(item, Option)}
    if not {"-h", "--help", *_VERSION}.difference(own).isdisjoint(words):
        say(_title(path))
    else:
        values: Values = command.read(path, words)
        command.run(values)


def _title(path: Sequence[str]) -> str:
    return f"{'-'.join(['jcli', *path])} {VERSION}"


def _help(path: Sequence[str], commands: Group) -> str:
    usage = " ".join(["jcli", *path, "<SUBCOMMAND>"])
    return f"{_title(path)}\n\nUSAGE:\n    {usage}\n\nSUBCOMMANDS:\n" + "\n".join(f"    {word}" for word in commands)


if __name__ == "__main__":
    main()
