"""``node-fsm doctor`` and ``node-fsm check``: whether this machine is ready, and what to do where it is not."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

import typer

from node_fsm.cli.output import ExitCode, Output, OutputOption, block_lines, print_json, terminal_width
from node_fsm.core.printable import printable

if TYPE_CHECKING:
    from node_fsm.preparation.finding import Finding

MARKS = {"ok": ("ok", "green"), "doubt": ("look", "yellow"), "failed": ("MEND", "red"), "skipped": ("-", "")}
_COLUMN = 26


def doctor(output: OutputOption = Output.TEXT) -> None:
    """Try everything that the service of this machine needs: each line says ok, or what to do. Nothing stays of it.

    Database, S3, key, directory, ports, programs, clock, other nodes; also beside a service that runs. Ends with 1 when
    something must be mended.
    """
    from node_fsm.preparation.doctor import doctor as all_checks
    from node_fsm.settings.model import Settings, load_settings

    settings = load_settings(os.environ, Settings)
    tell(lambda: all_checks(settings), output)


def check(output: OutputOption = Output.TEXT) -> None:
    """Check what can be seen of this machine alone: settings, block 0 template, programs. Nothing is connected to.

    Ends with 1 when something must be mended.
    """
    from node_fsm.preparation.doctor import check as static_checks

    tell(lambda: static_checks(os.environ), output)


def tell(checks: "Callable[[], AsyncGenerator[Finding, None]]", output: Output) -> None:
    """Print each finding as it comes, or all as JSON; ends with 1 when one failed."""
    findings = asyncio.run(_made(checks, output))
    if output is Output.JSON:
        print_json(findings)
    failed = sum(finding.verdict == "failed" for finding in findings)
    if failed:
        if output is Output.TEXT:
            typer.echo(f"\n{failed} of {len(findings)} checks found what must be mended", err=True)
        raise typer.Exit(ExitCode.FAILED)
    if output is Output.TEXT:
        typer.echo("\nnothing that must be mended")


async def _made(checks: "Callable[[], AsyncGenerator[Finding, None]]", output: Output) -> "list[Finding]":
    findings = []
    async with aclosing(checks()) as found:
        async for finding in found:
            findings.append(finding)
            if output is Output.TEXT:
                typer.echo("\n".join(lines(finding, terminal_width())))
    return findings


def lines(finding: "Finding", width: int | None) -> list[str]:
    """A finding for people: a mark, what was checked, and what was seen or is to be done."""
    mark, colour = MARKS[finding.verdict]
    name = f"{finding.area}: {finding.check}"
    first, *more = block_lines([(f"{mark:<5} {name:<{_COLUMN}}", printable(finding.said))], width)
    styled = typer.style(first[:5], fg=colour or None, bold=finding.verdict == "failed")
    return [styled + first[5:], *more]
