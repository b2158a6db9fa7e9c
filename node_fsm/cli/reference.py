"""``node-fsm commands``: all commands there are, and the documentation's page of them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from node_fsm.cli import archives, committee, db, documents, journal, nodes, results, show, table, verify
from node_fsm.cli.output import EXIT_CODES, Column, block_lines, terminal_width

INTRODUCTION = """\
# Commands

This page is generated: `node-fsm commands --markdown` writes it from the commands themselves. Change it there.

`--help` after a command says the same of it. What a command needs of the outside (a database, S3, jcli) comes from
the [settings](configuration.md).
"""
CONVENTIONS = """\
## What they print

Text for people is a table where the terminal is wide enough, and a block of lines for each row where it is not.
Identifiers are always whole. Into a pipe a row is one line, however wide. Times are in UTC. Messages and questions go
to standard error.

`--output json` prints what stands below each command, and `--output csv` the same of a table, with a line of names.
Fields are only ever added. Times are in ISO 8601, votes and powers whole numbers; what is not there is null, in CSV
empty. A list or an object in CSV is JSON.

What takes longer than two seconds says how far it is on standard error: by a bar on a terminal, by lines elsewhere.

## What they ask

What nobody can undo asks for the name of what it is done to. Where standard input or standard error is no terminal it
is refused, with the exit code 2, unless `--yes` is given.

## Completion

With `--install-completion` and no command `node-fsm` has the shell (bash, zsh, fish, PowerShell) complete commands and
options with the TAB key, from its next start on; `--show-completion` prints what that adds. Both go by the shell that
they are run from.
"""
SHOWN: Mapping[str, Sequence[Column]] = {
    "archive get": archives.FETCHED,
    "archive list": archives.ARCHIVES,
    "check": documents.FINDING,
    "committee check": committee.CHECKED,
    "committee status": committee.STANDING,
    "config": documents.SETTINGS,
    "db upgrade": db.UPGRADE,
    "doctor": documents.FINDING,
    "election list": show.ELECTIONS,
    "election results": results.RESULTS,
    "election show": documents.ELECTION,
    "journal": journal.JOURNAL,
    "node list": nodes.NODES,
    "plan": documents.OUTLOOK,
    "status": documents.STATUS,
    "table": table.TRANSITIONS,
    "verify": verify.VERIFIED,
}
"""What each command with ``--output`` prints as JSON."""


def commands(
    ctx: typer.Context,
    *,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page docs/commands.md instead.")] = False,
) -> None:
    """List all commands."""
    root = ctx.find_root().command
    if markdown:
        typer.echo(page(root), nl=False)
        return
    found = [(name, _first_paragraph(command)) for name, command in walk(root) if not _is_group(command)]
    for line in block_lines(found, terminal_width()):
        typer.echo(line)


def page(root: Any) -> str:
    """The whole of docs/commands.md, of the command line *root*."""
    parts = [INTRODUCTION, _exit_codes(), CONVENTIONS]
    for name, command in walk(root):
        parts += [_described(name, command)]
    return "\n".join(parts)


def walk(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All groups and commands with their names, as they are typed, in alphabetical order."""
    for name in sorted(group.commands):
        command = group.commands[name]
        yield f"{prefix}{name}", command
        if _is_group(command):
            yield from walk(command, f"{prefix}{name} ")


def _exit_codes() -> str:
    rows = [[str(int(code)), meaning] for code, meaning in EXIT_CODES.items()]
    return "## What they end with\n\n" + _table(["exit code", "meaning"], rows)


def _described(name: str, command: Any) -> str:
    if _is_group(command):
        return f"## node-fsm {name}\n\n{_help(command)}\n"
    level = "###" if " " in name else "##"
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join(part for parameter in command.params for part in _usage(parameter, context))
    text = f"{level} node-fsm {name}\n\n{_help(command)}\n\n```text\nnode-fsm {name} {usage}".rstrip() + "\n```\n"
    rows = [_parameter(parameter, context) for parameter in command.params]
    if rows:
        text += "\n" + _table(["parameter", "meaning"], rows)
    if name in SHOWN:
        fields = [[f"`{column.name}`", column.meaning] for column in SHOWN[name]]
        text += "\n" + _table(["field of the JSON", "meaning"], fields)
    return text


def _usage(parameter: Any, context: Any) -> Iterator[str]:
    """How a parameter is typed; options that are not needed are in the table alone."""
    if parameter.param_type_name == "argument":
        word = parameter.metavar or parameter.name.upper()
        yield f"{word}" if parameter.required else f"[{word}]"
        if parameter.nargs == -1:
            yield "..."
    elif parameter.required:
        yield parameter.get_help_record(context)[0].replace("<", "").replace(">", "")
    elif parameter is context.command.params[-1]:
        yield "[OPTIONS]"


def _parameter(parameter: Any, context: Any) -> list[str]:
    typed, meaning = parameter.get_help_record(context)
    return [f"`{typed}`", meaning]


def _help(command: Any) -> str:
    """The help of a command, whose lines are wrapped for people who read code, as paragraphs."""
    paragraphs = (" ".join(part.split()) for part in (command.help or "").split("\n\n"))
    return "\n\n".join(paragraphs)


def _first_paragraph(command: Any) -> str:
    return _help(command).partition("\n")[0]


def _is_group(command: Any) -> bool:
    return hasattr(command, "commands")


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
