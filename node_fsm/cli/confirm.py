"""Asking a person before something is done that nobody can undo."""

import sys
from typing import Annotated

import typer

from node_fsm.cli.output import ExitCode, say
from node_fsm.core.printable import printable

YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask; scripts need it, since nobody can be asked there.")]


def confirm(consequence: str, name: str, *, yes: bool) -> None:
    """Say what will happen, and go on only if a person types *name*; with *yes* nothing is asked.

    Ends the command with FAILED when something else is typed, with USAGE when standard input or error is no terminal.
    """
    if yes:
        return
    say(consequence, err=True)
    if not can_ask():
        say("nothing was changed: there is no terminal to ask on; give --yes to do it without asking", err=True)
        raise typer.Exit(ExitCode.USAGE)
    typed = typer.prompt(f"Type {printable(name)} to go on", default="", show_default=False, err=True)
    if typed.strip() != name:
        say("nothing was changed", err=True)
        raise typer.Exit(ExitCode.FAILED)


def can_ask() -> bool:
    """Whether a person sees the question and can answer it."""
    return sys.stdin.isatty() and sys.stderr.isatty()
