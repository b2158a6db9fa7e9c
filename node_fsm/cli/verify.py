"""``node-fsm verify``: whether an archive is whole and says what its own blocks say."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node_fsm.cli.object_store import command_settings, object_store
from node_fsm.cli.output import Column, ExitCode, Output, OutputOption, print_json, say
from node_fsm.cli.progress import progress_stages
from node_fsm.core.printable import one_line

if TYPE_CHECKING:
    from node_fsm.archive.check import Check

VERIFIED = (
    Column("archive", None, "What was checked."),
    Column("ok", None, "Whether all checks are passed."),
    Column("checks[].name", None, "What was looked at."),
    Column("checks[].ok", None, "Whether it is as it should be."),
    Column("checks[].detail", None, "What was found."),
)


def verify(
    target: Annotated[
        str,
        typer.Argument(
            metavar="URI|DIR",
            help="s3://BUCKET/PREFIX of an archive, or a directory with its two objects or its files and the manifest.",
        ),
    ],
    output: OutputOption = Output.TEXT,
) -> None:
    """Check an archive with nothing but itself: every byte, the chain, and the results by a recount of its blocks.

    Private results are proven: by the sum of the ballots in the blocks, and the members' shares that open it.

    The chain is unpacked into TMPDIR for a while. Ends with 0 when all checks are passed, else with 1.
    """
    from node_fsm.archive.manifest import archive_named

    target = archive_named(target)
    checks = asyncio.run(_verify(target, output))
    passed = all(check.ok for check in checks)
    if output is Output.JSON:
        print_json({"archive": target, "ok": passed, "checks": [asdict(check) for check in checks]})
    else:
        say(f"{target} is {'whole' if passed else 'NOT to be trusted'}")
    raise typer.Exit(ExitCode.OK if passed else ExitCode.FAILED)


async def _verify(target: str, output: Output) -> "list[Check]":
    from node_fsm.archive.verify import verify_directory, verify_uri

    scratch = Path(tempfile.gettempdir())
    with progress_stages() as stages:
        if not target.startswith("s3://"):
            return await _told(verify_directory(Path(target), scratch, stages), output)
        async with object_store(command_settings()) as store:
            return await _told(verify_uri(store, target, scratch, stages), output)


async def _told(checks: "AsyncIterator[Check]", output: Output) -> "list[Check]":
    """All *checks*, each printed as it comes."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    found = []
    async for check in checks:
        found.append(check)
        if output is Output.TEXT:
            outcome = ("ok    ", "green") if check.ok else ("FAILED", "bold red")
            console.print(Text.assemble(outcome, one_line(f"  {check.name}: {check.detail}")))
    return found
