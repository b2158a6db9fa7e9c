"""``node-fsm verify``: whether an archive is whole and says what its own blocks say."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node_fsm.cli.progress import progress_bar

if TYPE_CHECKING:
    from node_fsm.archive.check import Check


def verify(
    target: Annotated[
        str,
        typer.Argument(
            metavar="URI|DIR",
            help="s3://BUCKET/PREFIX of an archive, or a directory with its two objects or its files and the manifest.",
        ),
    ],
) -> None:
    """Check an archive with nothing but itself: every byte, the chain, and the results by a recount of its blocks.

    Private results are proven: by the sum of the ballots in the blocks, and the members' shares that open it.

    The chain is unpacked into TMPDIR for a while. Ends with 0 when all checks are passed, else with 1.
    """
    from node_fsm.archive.manifest import MANIFEST_NAME

    passed = asyncio.run(_verify(target.removesuffix(f"/{MANIFEST_NAME}").rstrip("/")))
    raise typer.Exit(0 if passed else 1)


async def _verify(target: str) -> bool:
    from node_fsm.archive.verify import verify_directory, verify_uri

    scratch = Path(tempfile.gettempdir())
    with progress_bar("adding up the encrypted votes") as progress:
        if not target.startswith("s3://"):
            return await _report(target, verify_directory(Path(target), scratch, progress))
        from node_fsm.s3.store import S3Store
        from node_fsm.settings.model import CommandSettings, load_settings

        settings = load_settings(os.environ, CommandSettings)
        store = S3Store(settings.s3_endpoint_url, credentials=settings.aws_credentials())
        try:
            return await _report(target, verify_uri(store, target, scratch, progress))
        finally:
            await store.close()


async def _report(target: str, checks: "AsyncIterator[Check]") -> bool:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    failed = 0
    async for check in checks:
        failed += not check.ok
        outcome = ("ok    ", "green") if check.ok else ("FAILED", "bold red")
        console.print(Text.assemble(outcome, f"  {check.name}: {check.detail}"))
    console.print(Text(f"{target} is {'whole' if not failed else 'NOT to be trusted'}"))
    return not failed
